// The console: the login, or a page within the shell.
import { Component, render } from "./vendor/preact.js";
import "./vendor/signals.js";
import { html } from "./html.js";
import { place } from "./location.js";
import { Login } from "./pages/login.js";
import { PAGES } from "./pages/all.js";
import { key } from "./session.js";
import { Shell } from "./shell.js";

/** Says that the console itself failed, instead of an empty page. */
class Safe extends Component {
  /** @param {any} props */
  constructor(props) {
    super(props);
    this.state = { error: null };
  }

  /** @param {unknown} error */
  static getDerivedStateFromError(error) {
    return { error };
  }

  render() {
    const { error } = /** @type {any} */ (this.state);
    if (!error) return /** @type {any} */ (this.props).children;
    return html`<p class="failure" role="alert">The console cannot show this: ${String(error.message ?? error)}</p>`;
  }
}

function Console() {
  if (key.value === null) return html`<${Login} />`;
  const { page, rest } = place.value;
  const { view, title } = PAGES[page] ?? PAGES.unknown;
  document.title = `${title} · llmgw`;
  return html`<${Shell}><${Safe} key=${page + rest}><${view} rest=${rest} /></${Safe}></${Shell}>`;
}

const root = document.getElementById("console");
if (root) {
  root.replaceChildren();
  render(html`<${Console} />`, root);
}
