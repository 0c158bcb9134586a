"use strict";

// The page is beside the document: `/v1/docs` shows `/v1/openapi.json`.
const prefix = location.href.replace(/\/docs\/?([?#].*)?$/, "");
const reference = document.getElementById("reference");

async function showReference() {
  try {
    const response = await fetch(`${prefix}/openapi.json`);
    if (!response.ok) throw new Error(`The API returned status ${response.status}.`);
    // "Try it out" calls the host that the page came from, whatever a proxy made of it.
    const spec = { ...(await response.json()), servers: [{ url: prefix }] };
    SwaggerUIBundle({
      spec,
      domNode: reference,
      deepLinking: true,
      filter: true,
      defaultModelsExpandDepth: 0,
      validatorUrl: null,
    });
  } catch (error) {
    showFailure(error);
  }
}

function showFailure(error) {
  const notice = document.createElement("p");
  notice.className = "notice";
  notice.setAttribute("role", "alert");
  notice.textContent = `The API reference could not be loaded. ${error.message} `;
  const retry = document.createElement("button");
  retry.textContent = "Try again";
  retry.addEventListener("click", showReference);
  notice.append(retry);
  reference.replaceChildren(notice);
}

showReference();
