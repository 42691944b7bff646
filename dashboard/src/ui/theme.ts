import { applyMode, Mode } from "@cloudscape-design/global-styles";

const NAME = "intake.theme";

/** Light or dark, as chosen here or else by the system. */
export function currentTheme(): "light" | "dark" {
  const chosen = localStorage.getItem(NAME);
  if (chosen === "light" || chosen === "dark") return chosen;
  return window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light";
}

export function showTheme(theme: "light" | "dark"): void {
  applyMode(theme === "dark" ? Mode.Dark : Mode.Light);
}

export function chooseTheme(theme: "light" | "dark"): void {
  localStorage.setItem(NAME, theme);
  showTheme(theme);
}
