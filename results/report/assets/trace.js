(() => {
  'use strict';
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const draw = (figure) => {
    const found = JSON.parse(figure.querySelector('script.samples').textContent);
    figure.querySelector('.plot')?.remove();
    const place = document.createElement('div');
    place.className = 'plot';
    figure.prepend(place);
    place.setAttribute('role', 'img');
    place.setAttribute('aria-label', figure.querySelector('.drawing').getAttribute('aria-label'));
    const phases = (plot) => {
      const box = plot.bbox;
      found.phases.forEach((phase) => {
        const from = Math.max(plot.valToPos(phase.start_s, 'x', true), box.left);
        const to = Math.min(plot.valToPos(phase.end_s, 'x', true), box.left + box.width);
        if (to <= from) return;
        plot.ctx.globalAlpha = phase.measured ? 0.22 : 0.08;
        plot.ctx.fillStyle = colour(phase.measured ? '--band' : '--calm');
        plot.ctx.fillRect(from, box.top, to - from, box.height);
        plot.ctx.globalAlpha = 1;
      });
    };
    const axis = (label) => ({
      label, stroke: colour('--ink'), grid: { stroke: colour('--line'), width: 1 }, ticks: { stroke: colour('--line') },
    });
    const rounded = (plot, number) => (number === null || number === undefined ? '-' : Number(number.toPrecision(4)));
    new uPlot({
      width: Math.max(320, figure.clientWidth), height: 300, legend: { live: true },
      scales: { x: { time: false }, y: { range: (plot, low, high) => [Math.min(0, low), high * 1.05] } },
      axes: [axis('seconds since the start of the run'), axis('watts')],
      series: [{ label: 's', value: rounded }].concat(found.channels.map((channel, i) => ({
        label: channel.name, stroke: colour(found.colours[i]), width: 1, points: { show: false }, spanGaps: false,
        value: rounded,
      }))),
      hooks: { drawClear: [phases] },
    }, uPlot.join(found.channels.map((channel) => [channel.times_s, channel.watts])), place);
  };
  const all = [...document.querySelectorAll('figure')].filter((figure) => figure.querySelector('script.samples'));
  const again = () => all.forEach(draw);
  again();
  matchMedia('(prefers-color-scheme: dark)').addEventListener('change', again);
  let waiting;
  addEventListener('resize', () => { clearTimeout(waiting); waiting = setTimeout(again, 150); });
})();
