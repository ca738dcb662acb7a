export const tidyItem = (item: string) => item.trim().replace(/\s+/g, ' ')
