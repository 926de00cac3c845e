// The pages by the name that the address has for them.
import { html } from "../html.js";
import { BudgetsPage } from "./budgets.js";
import { CachePage } from "./cache.js";
import { CallPage } from "./call.js";
import { CallsPage } from "./calls.js";
import { ErrorsPage } from "./errors.js";
import { LatencyPage } from "./latency.js";
import { OverviewPage } from "./overview.js";
import { RoutingPage } from "./routing.js";
import { SpendPage } from "./spend.js";
import { TemplatesPage } from "./templates.js";
import { UpstreamsPage } from "./upstreams.js";

const Unknown = () => html`<h1>No such page</h1><p><a href="#/overview">To the overview</a></p>`;

/** @type {Record<string, {title: string, view: (props: {rest: string}) => any, letter?: string, timeless?: boolean}>}
 * `letter`: g and this go there; `timeless`: the time range changes nothing */
export const PAGES = {
  overview: { title: "Overview", view: OverviewPage, letter: "o" },
  calls: { title: "Calls", view: CallsPage, letter: "c" },
  latency: { title: "Latency", view: LatencyPage, letter: "l" },
  spend: { title: "Spend", view: SpendPage, letter: "s" },
  budgets: { title: "Budgets", view: BudgetsPage, letter: "b", timeless: true },
  cache: { title: "Cache", view: CachePage, letter: "h" },
  routing: { title: "Routing", view: RoutingPage, letter: "t", timeless: true },
  templates: { title: "Templates", view: TemplatesPage, letter: "p" },
  upstreams: { title: "Upstreams", view: UpstreamsPage, letter: "u", timeless: true },
  errors: { title: "Errors", view: ErrorsPage, letter: "e" },
  call: { title: "Call", view: CallPage, timeless: true },
  unknown: { title: "No such page", view: Unknown },
};
