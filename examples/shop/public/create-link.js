// Shows a new referral link next to its form. Without this script, the browser shows the answer as it is.
document.addEventListener('submit', async (event) => {
  const form = event.target;
  if (!form.matches('form.referral-create')) return;
  event.preventDefault();
  const output = outputOf(form);
  output.textContent = 'One moment …';
  try {
    const answer = await fetch(form.action, { method: 'POST', body: new URLSearchParams(new FormData(form)) });
    const result = await answer.json();
    if (answer.ok)
      output.innerHTML = result.html; // escaped by the server
    else output.textContent = problemOf(result);
  } catch {
    output.textContent = 'That did not work. Please try again.';
  }
});

function outputOf(form) {
  if (form.nextElementSibling?.matches('output.new-link')) return form.nextElementSibling;
  const output = document.createElement('output');
  output.className = 'new-link';
  form.after(output);
  return output;
}

/** A refusal is `{ detail }`, or `{ <field>: [{ message }] }`. */
function problemOf(result) {
  if (typeof result.detail === 'string') return result.detail;
  return Object.values(result)
    .flat()
    .map(({ message }) => message)
    .join(' ');
}
