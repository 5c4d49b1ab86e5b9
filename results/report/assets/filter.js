(() => {
  'use strict';
  const CHOICES = 200;
  const text = (row, column) => row.cells[column].textContent.trim();
  const made = (kind, facts) => Object.assign(document.createElement(kind), facts);
  document.querySelectorAll('table.filterable').forEach((table) => {
    const rows = [...table.tBodies[0].rows];
    if (rows.length < 2) return;
    const caption = table.caption.textContent;
    const box = made('div', { className: 'filters' });
    box.setAttribute('role', 'group');
    box.setAttribute('aria-label', 'Filter: ' + caption);
    const count = made('p', { className: 'quiet' });
    count.setAttribute('role', 'status');
    const tests = [];
    const apply = () => {
      let shown = 0;
      rows.forEach((row) => {
        row.hidden = !tests.every((test) => test(row));
        shown += row.hidden ? 0 : 1;
      });
      count.textContent = shown + ' of ' + rows.length + ' lines';
    };
    const add = (name, control, test) => {
      const label = made('label', { textContent: name });
      label.append(control);
      control.addEventListener('input', apply);
      tests.push(test);
      box.append(label);
    };
    const search = made('input', { type: 'search' });
    add('Text', search, (row) => row.textContent.toLowerCase().includes(search.value.trim().toLowerCase()));
    [...table.tHead.rows[0].cells].forEach((head, column) => {
      if (head.dataset.filter === undefined) return;
      const values = [...new Set(rows.map((row) => text(row, column)))].sort();
      if (values.length < 2 || values.length > CHOICES) return;
      const choice = made('select', {});
      choice.append(made('option', { value: '', textContent: 'all' }));
      values.forEach((value, place) => choice.append(made('option', { value: place + 1, textContent: value })));
      add(head.textContent, choice, (row) => !choice.value || text(row, column) === values[choice.value - 1]);
    });
    box.append(count);
    table.parentElement.before(box);
    apply();
  });
})();
