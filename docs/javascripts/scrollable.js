// Makes code and tables that are wider than their column focusable, so that they can be scrolled with the keyboard.

const markScrollable = () => {
  for (const element of document.querySelectorAll("pre > code, .md-typeset__scrollwrap")) {
    if (element.scrollWidth > element.clientWidth) element.tabIndex = 0;
    else element.removeAttribute("tabindex");
  }
};

addEventListener("load", markScrollable);
addEventListener("resize", markScrollable);
