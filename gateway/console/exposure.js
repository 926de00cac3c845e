// The warning where the admin port is reached over plain HTTP from another machine.
import { html } from "./html.js";
import { isExposed } from "./session.js";

export function Exposure() {
  if (!isExposed) return null;
  const { hostname, port } = window.location;
  return html`<div class="exposed" role="alert">
    <strong>This page came over plain HTTP.</strong> Whoever is on the way to ${hostname} can read the admin key and all records.
    Put TLS in front of the admin port, or go through a tunnel: <code>ssh -L ${port}:127.0.0.1:${port} ${hostname}</code>
  </div>`;
}
