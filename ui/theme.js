// Sets the theme before the first paint, so that a dark page never flashes white. The module takes over later.
(() => {
  let choice = null;
  try {
    choice = localStorage.getItem('weir-theme');
  } catch {
    // Storage may be forbidden; then the system decides.
  }
  const dark = choice === 'dark' || (choice !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches);
  document.documentElement.dataset.theme = dark ? 'dark' : 'light';
})();
