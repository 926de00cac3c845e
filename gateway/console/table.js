// A table that scrolls within itself and can be reached by the keyboard.
import { html } from "./html.js";

/** `label` heads the column; `cell` gives what stands in it; `kind`: "number" for figures, "wide" for what may be long, "roomy"
 * for what is left out where there is little room.
 * @template Row
 * @typedef {{label: string, cell: (row: Row) => any, kind?: "number" | "wide" | "narrow" | "roomy", title?: (row: Row) => string}} Column */

/** `name` says what the table holds; `id` makes the rows' keys; `rowClass` marks a row.
 * @template Row
 * @param {{name: string, columns: Column<Row>[], rows: Row[], id: (row: Row) => unknown, rowClass?: (row: Row) => string}} props */
export function Table({ name, columns, rows, id, rowClass = () => "" }) {
  return html`<div class="table" role="region" aria-label=${name} tabindex="0">
    <table>
      <thead><tr>${columns.map((column) => html`<th key=${column.label} scope="col" class=${column.kind ?? ""}>${column.label}</th>`)}</tr></thead>
      <tbody>${rows.map((row) => html`<tr key=${id(row)} class=${rowClass(row)} data-row>
        ${columns.map((column) => html`<td key=${column.label} class=${column.kind ?? ""} title=${column.title?.(row)}>${column.cell(row)}</td>`)}
      </tr>`)}</tbody>
    </table>
  </div>`;
}
