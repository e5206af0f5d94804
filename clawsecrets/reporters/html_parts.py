"""The style and the script of the HTML page: constants, so that the page's policy can name their hashes."""

from __future__ import annotations

STYLE = """
:root { color-scheme: light dark; --ink: #1c2024; --soft: #60646c; --line: #d9d9e0; --page: #f6f6f8; --card: #fff;
  --code: #eff0f3; --critical: #b4122e; --high: #c2410c; --medium: #946300; --low: #55606e; --good: #19703f }
@media (prefers-color-scheme: dark) { :root { --ink: #e8eaed; --soft: #a3a9b3; --line: #33373e; --page: #131518;
  --card: #1b1e23; --code: #262a31; --critical: #ff6b81; --high: #ff9457; --medium: #e8b93c; --low: #a0abb8;
  --good: #5fcf8f } }
* { box-sizing: border-box }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif }
main { max-width: 60rem; margin: 0 auto; padding: 2rem 1.25rem 4rem }
h1 { margin: 0; font-size: 1.7rem; letter-spacing: -.01em }
h2 { margin: 0; font-size: 1.1rem; line-height: 1.4 }
h3 { margin: 1rem 0 .3rem; font-size: .75rem; letter-spacing: .06em; text-transform: uppercase; color: var(--soft) }
code { font: .87em/1.5 ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  background: var(--code); padding: .1em .35em; border-radius: 4px; overflow-wrap: anywhere }
small { color: var(--soft); font-size: .87em }
a { color: inherit }
.what { margin: .2rem 0 0; color: var(--soft); overflow-wrap: anywhere }
.total { margin: 1rem 0; font-weight: 600 }
.banner { margin: 1rem 0; padding: .7rem 1rem; border: 1px solid; border-left-width: 5px; border-radius: 8px }
.bad { color: var(--critical) } .good { color: var(--good) }
#bar:not([hidden]) { position: sticky; top: 0; z-index: 1; display: flex; flex-wrap: wrap; gap: .5rem .9rem;
  align-items: center; margin: 0 -1.25rem 1rem; padding: .7rem 1.25rem; background: var(--page);
  border-bottom: 1px solid var(--line) }
#filter { flex: 1 1 16rem; padding: .45rem .7rem; font: inherit; color: inherit; background: var(--card);
  border: 1px solid var(--line); border-radius: 8px }
#bar label { display: inline-flex; gap: .3rem; align-items: center; font-weight: 500 }
#shown { color: var(--soft); font-size: .87em }
.finding, section { margin: 0 0 1rem; padding: 1rem 1.25rem; background: var(--card); border: 1px solid var(--line);
  border-radius: 10px }
.finding { border-left: 5px solid var(--tone) }
.critical { --tone: var(--critical) } .high { --tone: var(--high) } .medium { --tone: var(--medium) }
.low { --tone: var(--low) }
#bar label { color: var(--tone) } #bar input { accent-color: var(--tone) }
.level { display: inline-block; margin-right: .35rem; padding: .1rem .5rem; border: 1px solid var(--tone);
  border-radius: 99px; color: var(--tone); font-size: .75rem; font-weight: 700; text-transform: uppercase;
  letter-spacing: .04em; vertical-align: .1em }
.value { margin: .5rem 0 .2rem; font-size: 1.05rem }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem .9rem; margin: .4rem 0 0 }
dt { color: var(--soft) } dd { margin: 0; overflow-wrap: anywhere }
ul, ol { margin: 0; padding-left: 1.4rem } li { margin: .15rem 0; overflow-wrap: anywhere }
li small { display: block }
ul { list-style: none; padding: 0 }
summary { cursor: pointer; padding: .25rem 0; color: var(--soft) }
table { width: 100%; border-collapse: collapse; margin-top: .4rem }
td { padding: .3rem .6rem .3rem 0; border-top: 1px solid var(--line); vertical-align: top; overflow-wrap: anywhere }
footer { color: var(--soft); font-size: .87em }
@media print { :root { --page: #fff; --card: #fff; --ink: #000 } #bar { display: none !important }
  main { max-width: none; padding: 0 } .finding, section { break-inside: avoid; border-radius: 0 }
  .finding[hidden] { display: block } details > * { display: block } }
"""
"""Dark where the reader's system is; on paper without the filter, and with everything that it hid."""

SCRIPT = """
(() => {
  const bar = document.getElementById('bar');
  if (!bar) return;
  const filter = document.getElementById('filter'), shown = document.getElementById('shown');
  const all = [...document.querySelectorAll('.finding')].map(e => [e, e.textContent.toLowerCase()]);
  const apply = () => {
    const words = filter.value.toLowerCase().split(/\\s+/).filter(Boolean);
    const levels = new Set([...bar.querySelectorAll('input:checked')].map(e => e.value));
    let count = 0;
    for (const [e, text] of all) {
      e.hidden = !(levels.has(e.dataset.level) && words.every(w => text.includes(w)));
      count += !e.hidden;
    }
    shown.textContent = count === all.length ? '' : count + ' of ' + all.length;
  };
  bar.hidden = false;
  bar.addEventListener('input', apply);
  bar.addEventListener('submit', e => e.preventDefault());
  const unfold = () => document.querySelectorAll('details').forEach(e => { e.open = true; });
  addEventListener('beforeprint', unfold);
})();
"""
"""Filters by words and severity; opens everything before it is printed."""
