// Runs before the first paint, and so is no part of the module: the page must not flash in another theme than the
// chosen one.
try {
  const theme = localStorage.getItem('roundsman.theme')
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme
} catch {
  // Where storage is forbidden, the system's theme is used.
}
