// Zooms and moves the picture by its viewBox: wheel, dragging, buttons, arrow keys.
(() => {
  const board = document.querySelector(".board");
  const svg = board.querySelector("svg");
  const whole = svg.viewBox.baseVal;
  const all = { x: whole.x, y: whole.y, width: whole.width, height: whole.height };
  let view = all;

  const show = (next) => {
    view = next;
    svg.setAttribute("viewBox", `${view.x} ${view.y} ${view.width} ${view.height}`);
  };
  const middle = () => ({ x: view.x + view.width / 2, y: view.y + view.height / 2 });
  const at = (event) => {
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    return { x: point.x, y: point.y };
  };
  const zoom = (factor, around) => {
    const width = Math.min(Math.max(view.width * factor, all.width / 40), all.width * 4);
    const ratio = width / view.width;
    show({
      x: around.x - (around.x - view.x) * ratio,
      y: around.y - (around.y - view.y) * ratio,
      width,
      height: view.height * ratio,
    });
  };
  const move = (x, y) => show({ ...view, x: view.x + x * view.width, y: view.y + y * view.height });

  const least = board.clientWidth / 1.25; // a small graph is not blown up
  if (all.width < least) {
    all.x -= (least - all.width) / 2;
    all.width = least;
  }
  show({ ...all });

  // Of a graph too large to be read as a whole, the artifact asked for and what is around it.
  const scale = Math.min(svg.clientWidth / all.width, svg.clientHeight / all.height);
  const subject = svg.querySelector(".subject");
  if (subject && scale < 0.6) {
    const box = subject.getBBox();
    const [width, height] = [svg.clientWidth / 0.9, svg.clientHeight / 0.9];
    const start = (middle, length, least, most) =>
      most - least < length ? (least + most - length) / 2 : Math.min(Math.max(middle - length / 2, least), most - length);
    show({
      x: start(box.x + box.width / 2, width, all.x, all.x + all.width),
      y: start(box.y + box.height / 2, height, all.y, all.y + all.height),
      width,
      height,
    });
  }

  board.addEventListener("wheel", (event) => {
    event.preventDefault();
    zoom(event.deltaY < 0 ? 0.85 : 1 / 0.85, at(event));
  }, { passive: false });

  let held = null;
  board.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    held = at(event);
    board.setPointerCapture(event.pointerId);
  });
  board.addEventListener("pointermove", (event) => {
    if (!held) return;
    const now = at(event);
    show({ ...view, x: view.x + held.x - now.x, y: view.y + held.y - now.y });
  });
  for (const end of ["pointerup", "pointercancel"]) board.addEventListener(end, () => { held = null; });

  for (const button of document.querySelectorAll("[data-zoom]")) {
    button.addEventListener("click", () => {
      const factor = Number(button.dataset.zoom);
      factor ? zoom(factor, middle()) : show({ ...all });
    });
  }
  const keys = {
    ArrowLeft: () => move(-0.1, 0), ArrowRight: () => move(0.1, 0),
    ArrowUp: () => move(0, -0.1), ArrowDown: () => move(0, 0.1),
    "+": () => zoom(0.8, middle()), "=": () => zoom(0.8, middle()), "-": () => zoom(1.25, middle()),
    "0": () => show({ ...all }),
  };
  board.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in keys)) return;
    event.preventDefault();
    keys[event.key]();
  });
})();
