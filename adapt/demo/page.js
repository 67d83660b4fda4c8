// The image beside itself, once a model: clicks and boxes go to Python, which answers with what is drawn over it.
const panels = [...element.querySelectorAll('section')].map((section) => ({
  section,
  model: section.dataset.model,
  canvas: section.querySelector('canvas'),
  overlay: null,
  cursor: null,
}));
const find = (query) => element.querySelector(query);
const [ADD, TAKE_AWAY] = [1, 0];
let picture = null; // of the part that is looked at, and its pixels
let image = null;
let prompts = { clicks: [], box: null };
let drag = null;
let sent = null; // what is being answered; the next waits, so that answers come in order
let waiting = [];
let turn = 0;

function ask(what) {
  waiting.push({ ...what, at: performance.now() });
  sendNext();
}

function sendNext() {
  if (sent || !waiting.length) return;
  sent = { ...waiting.shift(), turn: ++turn };
  if (sent.do === 'encode') say('Encoding the image …');
  trigger('ask', sent);
}

function say(text, fault = '') {
  find('.status').textContent = text;
  find('.fault').textContent = fault;
}

async function loaded(uri) {
  const found = new Image();
  found.src = uri;
  await found.decode();
  return found;
}

function prompt(what) {
  if (!picture) return say('', 'There is no image yet; drop one, or pick one.');
  if (what.do === 'click') prompts.clicks.push([what.x, what.y, what.label]);
  drawAll(); // at once; the mask follows
  ask(what);
}

function draw({ canvas, overlay, cursor }) {
  const pen = canvas.getContext('2d');
  const { width, height } = canvas;
  const dot = width / (canvas.clientWidth || width); // marks have one size on the screen, however large the image is
  pen.clearRect(0, 0, width, height);
  pen.imageSmoothingEnabled = picture.times === 1;
  pen.drawImage(image, 0, 0, width, height);
  if (overlay) pen.drawImage(overlay, 0, 0, width, height);
  const box = drag?.moved ? [drag.x, drag.y, drag.toX, drag.toY] : prompts.box;
  if (box) {
    for (const [colour, dashes] of [['#000', []], ['#fff', [6 * dot, 5 * dot]]]) {
      pen.strokeStyle = colour;
      pen.lineWidth = 2 * dot;
      pen.setLineDash(dashes);
      pen.strokeRect(box[0] * width, box[1] * height, (box[2] - box[0]) * width, (box[3] - box[1]) * height);
    }
    pen.setLineDash([]);
  }
  for (const [x, y, label] of prompts.clicks) mark(pen, x * width, y * height, label, dot);
  if (cursor && canvas === document.activeElement) {
    pen.strokeStyle = '#fff';
    pen.lineWidth = 2 * dot;
    pen.strokeRect(cursor[0] * width - 9 * dot, cursor[1] * height - 9 * dot, 18 * dot, 18 * dot);
  }
}

function mark(pen, x, y, label, dot) {
  const [reach, arm] = [8 * dot, 4.5 * dot];
  pen.beginPath();
  if (label === ADD) pen.arc(x, y, reach, 0, 7);
  else pen.rect(x - reach, y - reach, 2 * reach, 2 * reach);
  pen.fillStyle = label === ADD ? '#007a5a' : '#c44e00';
  pen.fill();
  pen.strokeStyle = '#fff';
  pen.lineWidth = 2 * dot;
  pen.stroke();
  pen.beginPath();
  pen.moveTo(x - arm, y);
  pen.lineTo(x + arm, y);
  if (label === ADD) {
    pen.moveTo(x, y - arm);
    pen.lineTo(x, y + arm);
  }
  pen.stroke();
}

function drawAll() {
  if (image) panels.forEach(draw);
}

async function showAnswers(answers) {
  await Promise.all(
    panels.map(async (panel) => {
      const { section, model } = panel;
      const answer = answers[model];
      panel.overlay = answer ? await loaded(answer.overlay) : null;
      const text = answer
        ? `predicted IoU ${answer.ious[answer.chosen].toFixed(2)}, mask ${(100 * answer.share).toFixed(1)} % of the image`
        : '';
      section.querySelector('.figure').textContent = text;
      section.querySelectorAll('.save').forEach((button) => (button.disabled = !answer));
      section.querySelector('.note').textContent = !answer
        ? ''
        : answer.ious.length > 1
          ? 'Candidates by predicted IoU: choose one'
          : 'One mask, since more than a click was given';
      const small = answer ? await Promise.all(answer.small.map(loaded)) : [];
      section.querySelector('.candidates').replaceChildren(...small.map((mask, place) => candidate(panel, answer, mask, place)));
    }),
  );
}

function candidate({ model }, answer, mask, place) {
  const button = document.createElement('button');
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [mask.width, mask.height];
  const pen = canvas.getContext('2d');
  pen.drawImage(image, 0, 0, mask.width, mask.height);
  pen.drawImage(mask, 0, 0);
  const figure = answer.ious[place].toFixed(2);
  button.type = 'button';
  button.setAttribute('role', 'radio');
  button.setAttribute('aria-checked', String(place === answer.chosen));
  button.setAttribute('aria-label', `candidate ${place + 1}, predicted IoU ${figure}`);
  button.append(canvas, figure);
  button.onclick = () => ask({ do: 'choose', model, place });
  return button;
}

async function receive(view) {
  if (!view) return;
  const answered = sent && view.turn === sent.turn ? sent : null;
  if (view.picture) {
    picture = view.picture;
    image = await loaded(picture.uri);
    panels.forEach(({ canvas }) => {
      [canvas.width, canvas.height] = [picture.width, picture.height];
      canvas.hidden = false;
    });
    find('.parts').hidden = picture.parts === 1;
    find('.parts span').textContent = picture.called;
    find('.parts input').max = picture.parts - 1;
    find('.parts input').value = picture.part;
    find('.parts output').textContent = partOf(picture.part, picture.parts - 1);
    element.querySelector('.name').textContent = `${picture.name}, ${picture.size[0]} × ${picture.size[1]} pixels`;
  }
  if (view.prompts) prompts = view.prompts;
  if (view.answers) await showAnswers(view.answers);
  if ('steps' in view) find('.undo').disabled = find('.clear').disabled = !view.steps;
  drawAll();
  if (!picture) say('Drop an image above, or pick one there.', view.fault || '');
  else say(view.seconds ? told(view.seconds, answered) : '', view.fault || '');
  if (view.file) {
    const link = document.createElement('a');
    [link.href, link.download] = [view.file.uri, view.file.name];
    link.click();
    say(`${view.file.name} was handed to the browser`);
  }
  if (answered) {
    element.dataset.roundTrip = (performance.now() - answered.at).toFixed(1);
    element.dataset.seconds = JSON.stringify(view.seconds || {});
    element.dataset.turn = view.turn;
    sent = null;
  }
  if (view.picture) ask({ do: 'encode' });
  sendNext();
}

const partOf = (part, last) => `${part} (0 to ${last})`;

function told(seconds, answered) {
  const ms = (value) => `${(1000 * value).toFixed(0)} ms`;
  if (!('decode' in seconds)) return `Ready: encoded in ${ms(seconds.encode)}. Click on an object, or draw a box around it.`;
  const all = answered ? `Answered in ${(performance.now() - answered.at).toFixed(0)} ms: ` : '';
  return `${all}decoded in ${ms(seconds.decode)}, drawn in ${ms(seconds.beyond)}.`;
}

function place(event) {
  const { left, top, width, height } = event.currentTarget.getBoundingClientRect();
  const inside = (value) => Math.min(Math.max(value, 0), 1);
  return [inside((event.clientX - left) / width), inside((event.clientY - top) / height)];
}

for (const panel of panels) {
  const { canvas, model, section } = panel;
  canvas.addEventListener('contextmenu', (event) => event.preventDefault());
  canvas.addEventListener('pointerdown', (event) => {
    const [x, y] = place(event);
    if (event.button === 2) return prompt({ do: 'click', x, y, label: TAKE_AWAY });
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    drag = { x, y, toX: x, toY: y, from: [event.clientX, event.clientY], moved: false };
  });
  canvas.addEventListener('pointermove', (event) => {
    if (!drag) return;
    [drag.toX, drag.toY] = place(event);
    drag.moved ||= Math.hypot(event.clientX - drag.from[0], event.clientY - drag.from[1]) > 5;
    drawAll();
  });
  canvas.addEventListener('pointerup', () => {
    const done = drag;
    drag = null;
    if (!done) return;
    if (!done.moved) return prompt({ do: 'click', x: done.x, y: done.y, label: ADD });
    prompts.box = [done.x, done.y, done.toX, done.toY];
    prompt({ do: 'box', box: prompts.box });
  });
  canvas.addEventListener('pointercancel', () => {
    drag = null;
    drawAll();
  });
  canvas.addEventListener('keydown', (event) => {
    const step = event.shiftKey ? 0.05 : 0.01;
    const moves = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, -step], ArrowDown: [0, step] };
    const labels = { Enter: ADD, Backspace: TAKE_AWAY };
    if (!image || !(event.key in moves || event.key in labels)) return;
    event.preventDefault();
    const [x, y] = panel.cursor || [0.5, 0.5];
    const [dx, dy] = moves[event.key] || [0, 0];
    panel.cursor = [Math.min(Math.max(x + dx, 0), 1), Math.min(Math.max(y + dy, 0), 1)];
    if (event.key in labels) prompt({ do: 'click', x, y, label: labels[event.key] });
    drawAll();
  });
  for (const name of ['focus', 'blur']) canvas.addEventListener(name, drawAll);
  section.querySelectorAll('.save').forEach((button) => {
    button.onclick = () => ask({ do: 'save', model, as: button.dataset.kind });
  });
}
find('.undo').onclick = () => ask({ do: 'undo' });
find('.clear').onclick = () => ask({ do: 'clear' });
find('.parts input').onchange = (event) => ask({ do: 'show', part: Number(event.target.value) });
find('.parts input').oninput = (event) => (find('.parts output').textContent = partOf(event.target.value, event.target.max));
document.addEventListener('keydown', (event) => {
  const writing = event.target.closest?.('input:not([type=range]), textarea, select, [contenteditable=true]');
  if (event.key.toLowerCase() === 'z' && !writing && !find('.undo').disabled) ask({ do: 'undo' });
});
window.addEventListener('resize', drawAll);
watch('value', () => receive(props.value));
receive(props.value);
