/** The same from a program: for exactly the settings that are chosen at the moment. */

import { make } from "./dom.js";

/**
 * @param {Element} root
 * @param {string} kind of job
 * @param {object} options as they are sent
 * @param {{needsToken?: boolean, inputs?: string[]}} about the server and the kind
 */
export function showUse(root, kind, options, { needsToken = false, inputs = ["image"] } = {}) {
  const given = Object.entries(options).filter(([, value]) => value !== "" && value !== undefined && value !== null);
  const host = new URL(".", document.baseURI).href.replace(/\/$/, "");
  const query = new URLSearchParams([["wait", "true"], ...given]);
  const forms = inputs.map((name) => `-F ${name}=@${name}.png`).join(" ");
  const token = needsToken ? ["-H \"Authorization: Bearer $DEEP_PROTECTION_TOKEN\" ", ", token=os.environ[\"DEEP_PROTECTION_TOKEN\"]"] : ["", ""];
  const curl = `curl ${token[0]}${forms} '${host}/v1/${kind}?${query}'`;
  const named = [...inputs.map((name) => `${name}=Path("${name}.png").read_bytes()`), ...given.map(([name, value]) => `${name}=${python(value)}`)];
  const code = [
    ...(needsToken ? ["import os"] : []),
    "from pathlib import Path",
    "from deep_protection.service.client import Client",
    "",
    `with Client("${host}"${token[1]}) as client:`,
    `    job = client.run("${kind}", ${named.join(", ")})`,
    "    print(job[\"answer\"])",
  ].join("\n");
  root.replaceChildren(block("curl", curl), block("Python", code));
}

function python(value) {
  if (value === true) return "True";
  if (value === false) return "False";
  return /^\d+(\.\d+)?$/.test(String(value)) ? String(value) : JSON.stringify(String(value));
}

function block(title, code) {
  const copy = make("button", { type: "button", class: "link", text: "Copy", "aria-label": `Copy: ${title}`, onclick: async () => {
    try {
      await navigator.clipboard.writeText(code);
      copy.textContent = "Copied";
    } catch {
      copy.textContent = "Select it and copy by hand";
    }
    setTimeout(() => { copy.textContent = "Copy"; }, 2000);
  } });
  return make("div", { class: "code" }, make("div", { class: "code-head" }, make("span", { text: title }), copy), make("pre", { tabindex: "0" }, make("code", { text: code })));
}
