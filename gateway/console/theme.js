// Before anything is painted: the theme that was switched to, if any. Otherwise the system's counts.
(() => {
  const chosen = localStorage.getItem("llmgw.theme");
  if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
})();
