(() => {
  'use strict';
  const silent = new Set(['axis', 'legend', 'title']);
  const tip = document.createElement('div');
  tip.className = 'tip';
  tip.hidden = true;
  document.body.append(tip);
  document.addEventListener('pointerover', (event) => {
    const mark = event.target.closest('.drawing svg [aria-label]');
    const named = mark && mark.tagName !== 'svg' && !silent.has(mark.getAttribute('aria-roledescription'));
    tip.hidden = !named;
    if (!named) return;
    tip.textContent = mark.getAttribute('aria-label').split('; ').join('\n');
    const left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8);
    const above = event.clientY + 14 + tip.offsetHeight > innerHeight;
    tip.style.left = Math.max(8, left) + 'px';
    tip.style.top = (above ? event.clientY - tip.offsetHeight - 10 : event.clientY + 14) + 'px';
  });
  document.addEventListener('scroll', () => { tip.hidden = true; }, true);

  const value = (row, column) => {
    const cell = row.cells[column];
    return cell.dataset.order === undefined ? cell.textContent.trim() : Number(cell.dataset.order);
  };
  const order = (a, b) => {
    if (typeof a === 'number' && typeof b === 'number') return a - b;
    if (typeof a === 'number') return -1;
    return typeof b === 'number' ? 1 : a.localeCompare(b);
  };
  for (const table of document.querySelectorAll('table.sortable')) {
    const heads = [...table.tHead.rows[0].cells];
    if (table.tBodies[0].rows.length < 2) continue;
    heads.forEach((head, column) => {
      const button = document.createElement('button');
      button.type = 'button';
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener('click', () => {
        const up = head.getAttribute('aria-sort') !== 'ascending';
        heads.forEach((each) => each.removeAttribute('aria-sort'));
        head.setAttribute('aria-sort', up ? 'ascending' : 'descending');
        const rows = [...table.tBodies[0].rows];
        rows.sort((a, b) => (up ? 1 : -1) * order(value(a, column), value(b, column)));
        table.tBodies[0].append(...rows);
      });
    });
  }
})();
