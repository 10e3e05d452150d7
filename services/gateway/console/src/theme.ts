export const themes = ["system", "light", "dark"] as const;
export type Theme = (typeof themes)[number];

const remembered = "gatehouse.theme";

export function theme(): Theme {
  const kept = localStorage.getItem(remembered);
  return themes.find((t) => t === kept) ?? "system";
}

export function setTheme(next: Theme): void {
  localStorage.setItem(remembered, next);
  applyTheme();
}

/** Without a data-theme the page follows the system. */
export function applyTheme(): void {
  const now = theme();
  if (now === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = now;
}
