// Loads the module. A file of its own, because the page allows no inline script.
import init from './@script@';

init({ module_or_path: new URL('./@wasm@', import.meta.url) }).catch((error) => {
  const note = document.getElementById('boot') ?? document.body.appendChild(document.createElement('div'));
  note.id = 'boot';
  note.textContent = `The interface could not start: ${error}`;
});
