// Tells the values of the second under the pointer, with a line through every chart of that part.
const data = JSON.parse(document.getElementById("data").textContent);
const box = document.getElementById("reading");
const two = (n) => String(n).padStart(2, "0");
const clock = (s) => {
  const whole = Math.floor(s), hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
};
const figure = (n, signed) => {
  if (n === null || n === undefined) return "—";
  return (signed && n > 0 ? "+" : "") + String(n).replace("-", "−");
};
const leave = () => {
  box.hidden = true;
  for (const part of document.querySelectorAll(".reading")) part.classList.remove("reading");
};
for (const part of document.querySelectorAll("section")) {
  const charts = [...part.querySelectorAll("figure svg")];
  for (const chart of charts) {
    chart.addEventListener("pointermove", (event) => {
      const area = chart.getBoundingClientRect();
      const x = ((event.clientX - area.left) / area.width) * data.width;
      const share = (x - data.left) / data.plot;
      if (share < 0 || share > 1) return leave();
      const from = Number(chart.dataset.from), to = Number(chart.dataset.to);
      const at = from + share * (to - from);
      part.classList.add("reading");
      for (const each of charts) {
        const line = each.querySelector(".cursor");
        line.setAttribute("x1", x);
        line.setAttribute("x2", x);
      }
      const lines = data.sides.map(({ name, values }) =>
        [name, ...Object.values(values).map((v) => `${v.name} ${figure(v.at[Math.floor(at)], v.signed)} ${v.unit}`)].join("   "));
      box.textContent = [clock(at), ...lines].join("\n");
      box.hidden = false;
      return undefined;
    });
    chart.addEventListener("pointerleave", leave);
  }
}
