// Not a module: it runs before the first paint, so that the page does not flash in the other colours.
{
  const chosen = (() => { try { return localStorage.getItem("theme"); } catch { return null; } })();
  if (chosen === "dark" || chosen === "light") document.documentElement.dataset.theme = chosen;
}
