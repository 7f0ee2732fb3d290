// Asks the browser to make or to use a passkey, and sends its answer with the form. Without this file the page says what
// is missing.
"use strict";

{
  const form = document.getElementById("passkey");
  const button = document.getElementById("go-on");
  const failure = document.getElementById("passkey-error");

  const fromText = (text) =>
    Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (letter) => letter.charCodeAt(0));
  const toText = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer))).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");

  // Newer browsers do both of these themselves (`parseCreationOptionsFromJSON`, `toJSON`).
  const request = (options) => {
    options.challenge = fromText(options.challenge);
    if (options.user) options.user.id = fromText(options.user.id);
    for (const known of options.excludeCredentials ?? []) known.id = fromText(known.id);
    return { publicKey: options };
  };
  const answer = ({ id, rawId, type, authenticatorAttachment, response }, extensions) => {
    const parts = { clientDataJSON: toText(response.clientDataJSON) };
    if (response.attestationObject) {
      parts.attestationObject = toText(response.attestationObject);
      parts.transports = response.getTransports?.() ?? [];
    } else {
      parts.authenticatorData = toText(response.authenticatorData);
      parts.signature = toText(response.signature);
      parts.userHandle = response.userHandle ? toText(response.userHandle) : null;
    }
    return { id, rawId: toText(rawId), type, authenticatorAttachment, clientExtensionResults: extensions, response: parts };
  };

  const words = (name) => ({
    InvalidStateError: "This device has a passkey for your log-in already.",
    SecurityError: `Passkeys work at ${form.dataset.origin} alone. Open this page there.`,
    NotSupportedError: "This browser or device cannot do that with passkeys.",
  })[name] ?? "No passkey was given. Try again, or go back.";

  const ask = async () => {
    button.disabled = true;
    failure.hidden = true;
    try {
      if (location.origin !== form.dataset.origin) throw new DOMException("", "SecurityError");
      if (!window.PublicKeyCredential) throw new DOMException("", "NotSupportedError");
      const wish = request(JSON.parse(form.dataset.options));
      const made = form.dataset.ceremony === "create"
        ? await navigator.credentials.create(wish)
        : await navigator.credentials.get(wish);
      document.getElementById("credential").value = JSON.stringify(answer(made, made.getClientExtensionResults()));
      form.requestSubmit();
    } catch (error) {
      failure.firstElementChild.textContent = words(error.name);
      failure.hidden = false;
      button.disabled = false;
    }
  };

  button.hidden = false;
  button.addEventListener("click", ask);
  // One click less, where the browser allows it.
  ask();
}
