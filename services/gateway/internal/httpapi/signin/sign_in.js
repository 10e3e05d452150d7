// Shows the form of a one-time link. Its secret stands behind the #, so that it is
// in no log of a server and is not used up by who only looks at the address.
"use strict";

const secret = new URLSearchParams(location.hash.slice(1)).get("link");
if (secret) {
  const form = document.getElementById("link");
  form.elements.link.value = secret;
  form.hidden = false;
  history.replaceState(null, "", location.pathname + location.search);
}
