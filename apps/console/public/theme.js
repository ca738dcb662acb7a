// Before the first paint, and so not part of the module: a chosen theme must not flash in the other one.
try {
  const theme = localStorage.getItem('roundsman.theme')
  if (theme === 'light' || theme === 'dark') document.documentElement.dataset.theme = theme
} catch {
  // Storage may be forbidden; the system's theme is used then.
}
