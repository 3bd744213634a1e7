// The agents and the gauges of the server, live.

import { getJson } from "../api.js";
import { count } from "../format.js";
import { problem, repeat, withCode } from "../parts.js";
import { html } from "../vendor/lit-html.js";

const GAUGES = {
  running_tasks: "Tasks that run",
  queued_tasks: "Tasks that wait for a slot",
  pending_tasks: "Tasks that were not started",
  streams: "Open streams",
  connections: "Connections",
};

export function openAgents(address, redraw) {
  let agents = null;
  let health = null;
  let error = null;
  const looking = (get) => async () => {
    try {
      await get();
      error = null;
    } catch (caught) {
      error = caught;
    }
    redraw();
  };
  const ends = [
    repeat(looking(async () => ({ agents } = await getJson("/agents"))), 1000),
    repeat(looking(async () => (health = await getJson("/health"))), 5000), // It counts the library.
  ];
  return {
    title: () => "Agents",
    close: () => ends.forEach((end) => end()),
    template: () => html`<h1>Agents</h1>
      <p class="quiet">Each works through a mailbox of limited size. When one is full, whoever sends to it waits.</p>
      ${problem(error)} ${agents ? html`<ul class="agents">${agents.map(row)}</ul>` : null}
      ${health ? gauges(health) : null}`,
  };
}

const row = (agent) => html`<li>
  <h2>${agent.name}</h2>
  <p>${agent.description}</p>
  <p class="meters">
    <label>Mailbox <meter min="0" max=${agent.mailbox_capacity} value=${agent.mailbox_depth}></meter>
      ${agent.mailbox_depth} of ${agent.mailbox_capacity}</label>
    <label>At work <meter min="0" max=${agent.concurrency} value=${agent.in_flight}></meter>
      ${agent.in_flight} of ${agent.concurrency}</label>
  </p>
  <p class="quiet">
    ${agent.state} · ${count(agent.retries, "retry", "retries")} · ${count(agent.restarts, "restart")}
  </p>
</li>`;

const gauges = ({
  status,
  version,
  gauges: values,
  library,
}) => html`<section aria-labelledby="server">
  <h2 id="server">Server</h2>
  <dl class="facts">
    <dt>State</dt><dd>${status === "ok" ? "running" : status}, version ${version}</dd>
    ${Object.entries(GAUGES).map(([name, words]) => html`<dt>${words}</dt><dd>${values[name] ?? 0}</dd>`)}
    <dt>Library</dt><dd>${count(library.documents ?? 0, "document")} of your own, ${count(library.excerpts ?? 0, "excerpt")}</dd>
  </dl>
  ${library.problem ? html`<p class="problem">${withCode(library.problem)}</p>` : null}
</section>`;
