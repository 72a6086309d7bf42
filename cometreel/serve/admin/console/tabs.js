// The tabs next to the journal, with the keyboard behaviour of the ARIA Authoring Practices.

import { byId } from "./elements.js";

const tabs = [...document.querySelectorAll("[role=tab]")];

export function startTabs() {
  for (const tab of tabs) {
    tab.addEventListener("click", () => openTab(tab.id.slice(4)));
    tab.addEventListener("keydown", (event) => {
      const steps = { ArrowRight: 1, ArrowLeft: -1, Home: -tabs.indexOf(tab), End: tabs.length - 1 - tabs.indexOf(tab) };
      if (!(event.key in steps)) return;
      event.preventDefault();
      const next = tabs[(tabs.indexOf(tab) + steps[event.key] + tabs.length) % tabs.length];
      openTab(next.id.slice(4));
      next.focus();
    });
  }
}

export function openTab(name) {
  for (const tab of tabs) {
    const open = tab.id === `tab-${name}`;
    tab.setAttribute("aria-selected", open);
    tab.tabIndex = open ? 0 : -1;
    byId(tab.getAttribute("aria-controls")).hidden = !open;
    if (open) tab.scrollIntoView({ block: "nearest", inline: "nearest" });
  }
}
