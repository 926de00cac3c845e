// What is round every page: navigation, search for a call, time range, theme, keyboard.
import { useEffect, useRef, useState } from "./vendor/hooks.js";
import { Exposure } from "./exposure.js";
import { find } from "./find.js";
import { html } from "./html.js";
import { Keyboard } from "./keyboard.js";
import { place, to } from "./location.js";
import { PAGES } from "./pages/all.js";
import { RangePicker } from "./range_picker.js";
import { refresh } from "./range.js";
import { leave } from "./session.js";

/** @param {{children?: any}} props */
export function Shell({ children }) {
  const main = useRef(/** @type {HTMLElement | null} */ (null));
  const { page, rest } = place.value;
  const isFirst = useRef(true);
  useEffect(() => {
    if (!isFirst.current) main.current?.focus({ preventScroll: true });
    isFirst.current = false;
    window.scrollTo(0, 0);
  }, [page, rest]);
  return html`<a class="skip" href="#main" onClick=${(/** @type {Event} */ event) => { event.preventDefault(); main.current?.focus(); }}>Skip to content</a>
    <header class="bar">
      <a class="brand" href=${to("overview")}>llmgw</a>
      <nav aria-label="Pages">${Object.entries(PAGES).filter(([, each]) => each.letter).map(([name, each]) => html`
        <a key=${name} href=${to(name)} aria-current=${name === page ? "page" : undefined}>${each.title}</a>`)}
      </nav>
      <${Finder} />
      <div class="tools">
        <button type="button" onClick=${refresh} title="Ask again (r)">Refresh</button>
        <${ThemeSwitch} />
        <${Keyboard} />
        <button type="button" onClick=${() => leave()}>Log out</button>
      </div>
    </header>
    <${Exposure} />
    <main id="main" ref=${main} tabindex="-1">
      ${!PAGES[page]?.timeless && html`<${RangePicker} />`}
      ${children}
    </main>`;
}

function Finder() {
  const [failure, fail] = useState("");
  const submit = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const form = /** @type {HTMLFormElement} */ (event.currentTarget);
    fail(await find(String(new FormData(form).get("id") ?? "")));
  };
  return html`<form class="finder" role="search" aria-label="Call by id" onSubmit=${submit}>
    <input id="find" name="id" type="search" placeholder="Request id or trace id  ( / )" aria-label="Find a call by its request id or trace id"
      spellcheck=${false} autocomplete="off" onInput=${() => fail("")} aria-describedby="find-failure" />
    <span id="find-failure" class="failure" role="alert">${failure}</span>
  </form>`;
}

const THEMES = ["system", "light", "dark"];

function ThemeSwitch() {
  const [theme, setTheme] = useState(document.documentElement.dataset.theme ?? "system");
  const choose = (/** @type {Event} */ event) => {
    const chosen = /** @type {HTMLSelectElement} */ (event.currentTarget).value;
    setTheme(chosen);
    if (chosen === "system") {
      localStorage.removeItem("llmgw.theme");
      delete document.documentElement.dataset.theme;
    } else {
      localStorage.setItem("llmgw.theme", chosen);
      document.documentElement.dataset.theme = chosen;
    }
  };
  return html`<select aria-label="Theme" value=${theme} onChange=${choose}>
    ${THEMES.map((each) => html`<option key=${each} value=${each}>${each}</option>`)}</select>`;
}
