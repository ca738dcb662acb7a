export const tidyTitle = (title: string) => title.trim().replace(/\s+/g, ' ');
