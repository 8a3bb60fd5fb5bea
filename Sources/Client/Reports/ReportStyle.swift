// SPDX-License-Identifier: Apache-2.0

/// The looks of a report's page.
enum ReportStyle {
    /// The style sheet. Colours keep a contrast of 4.5 : 1 to their ground in both schemes; series differ by dash too.
    static let sheet: StaticString = """

        :root { color-scheme: light dark; --ground: #ffffff; --ink: #1b1f24; --soft: #57606a; --rule: #d0d7de;
          --panel: #f6f8fa; --accent: #0550ae; --good: #116329; --bad: #a40e26; --open: #7a4e00;
          --s0: #0072b2; --s1: #c44e00; --s2: #007a5a; --s3: #8f3a84; --s4: #6b5b00; --s5: #57606a; }
        @media (prefers-color-scheme: dark) { :root { --ground: #0d1117; --ink: #e6edf3; --soft: #9da7b1;
          --rule: #30363d; --panel: #161b22; --accent: #79c0ff; --good: #56d364; --bad: #ff938a; --open: #e3b341;
          --s0: #56b4e9; --s1: #ffa657; --s2: #3fd0a0; --s3: #e29ad6; --s4: #e3d26f; --s5: #9da7b1; } }
        * { box-sizing: border-box; }
        body { margin: 0 auto; max-width: 62rem; padding: 2rem 1.25rem 3rem; background: var(--ground);
          color: var(--ink); font: 1rem/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; }
        h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .25rem; overflow-wrap: anywhere; }
        h2 { font-size: 1.25rem; margin: 2.25rem 0 .75rem; padding-bottom: .25rem; border-bottom: 1px solid var(--rule); }
        h3 { font-size: 1rem; margin: 0 0 .5rem; }
        p { margin: .5rem 0; max-width: 46rem; overflow-wrap: anywhere; }
        a { color: var(--accent); }
        .subtitle, .note, footer, .summary { color: var(--soft); }
        .note { font-style: italic; }
        nav ul { display: flex; flex-wrap: wrap; gap: .25rem 1rem; list-style: none; margin: 1rem 0 0; padding: 0;
          font-size: .9rem; }
        main ul { padding-left: 1.25rem; max-width: 46rem; }
        main li { margin: .3rem 0; overflow-wrap: anywhere; }
        .verdict { font-weight: 600; padding: .75rem 1rem; border: 1px solid; border-left-width: .4rem;
          border-radius: .35rem; background: var(--panel); max-width: none; }
        .verdict.good { border-color: var(--good); } .verdict.good .badge { color: var(--good); }
        .verdict.bad { border-color: var(--bad); } .verdict.bad .badge { color: var(--bad); }
        .verdict.open { border-color: var(--open); } .verdict.open .badge { color: var(--open); }
        .wide { overflow-x: auto; margin: 1rem 0; }
        table { border-collapse: collapse; font-size: .92rem; width: 100%; }
        caption { text-align: left; color: var(--soft); padding-bottom: .4rem; }
        th, td { text-align: left; vertical-align: top; padding: .35rem .75rem .35rem 0; border-bottom: 1px solid var(--rule); }
        thead th { border-bottom: 2px solid var(--rule); white-space: nowrap; }
        tbody th { font-weight: 500; }
        td { overflow-wrap: anywhere; }
        .facts { margin: 1rem 0; } .facts th { width: 11rem; color: var(--soft); font-weight: 400; }
        .number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
        .code, code, .command { font-family: ui-monospace, "DejaVu Sans Mono", monospace; font-size: .85rem; }
        .code { overflow-wrap: anywhere; }
        .command { background: var(--panel); border: 1px solid var(--rule); border-radius: .35rem; padding: .6rem .8rem;
          white-space: pre-wrap; overflow-wrap: anywhere; }
        .exchange { border: 1px solid var(--rule); border-radius: .35rem; padding: .75rem 1rem; margin: .75rem 0; }
        dl { display: grid; grid-template-columns: 8.5rem 1fr; gap: .25rem .75rem; margin: 0; }
        dt { color: var(--soft); } dd { margin: 0; overflow-wrap: anywhere; white-space: pre-wrap; }
        q { quotes: "“" "”"; } .purged { color: var(--soft); }
        .tag { border: 1px solid var(--rule); border-radius: 1rem; padding: 0 .5rem; font-size: .8rem;
          color: var(--soft); white-space: nowrap; }
        figure { margin: 1.25rem 0; } figcaption { font-size: .9rem; }
        figcaption strong, .summary { display: block; }
        .key { margin-right: 1.1rem; white-space: nowrap; }
        .key i { display: inline-block; width: 1.6rem; margin-right: .4rem; vertical-align: middle;
          border-top: 3px solid currentColor; }
        svg { width: 100%; height: auto; max-width: 46rem; display: block; }
        svg text { fill: var(--soft); font: 12px system-ui, "DejaVu Sans", sans-serif; }
        svg .name { fill: var(--ink); }
        .grid { stroke: var(--rule); stroke-width: 1; } .axis { stroke: var(--soft); stroke-width: 1; }
        .chance { stroke: var(--soft); stroke-width: 1; stroke-dasharray: 2 4; }
        .line { fill: none; stroke-width: 2.2; stroke-linejoin: round; } .bar { stroke-width: 1.6; fill-opacity: .14; }
        .s0 { --c: var(--s0); } .s1 { --c: var(--s1); stroke-dasharray: 7 4; } .s2 { --c: var(--s2); stroke-dasharray: 2 3; }
        .s3 { --c: var(--s3); stroke-dasharray: 9 3 2 3; } .s4 { --c: var(--s4); stroke-dasharray: 12 4; }
        .s5 { --c: var(--s5); stroke-dasharray: 4 4; }
        .line, .bar { stroke: var(--c); } .bar { fill: var(--c); } .mark { fill: var(--c); stroke: none; }
        .key i { color: var(--c); } .key.s1 i, .key.s4 i { border-top-style: dashed; } .key.s2 i { border-top-style: dotted; }
        .key.s3 i, .key.s5 i { border-top-style: double; }
        .full { fill: var(--s0); stroke: var(--s0); } .hollow { fill: var(--ground); stroke: var(--s1); stroke-width: 2; }
        .key.full i { --c: var(--s0); width: .7rem; height: .7rem; border-radius: 50%; background: var(--s0); border: 0; }
        .key.hollow i { width: .7rem; height: .7rem; border-radius: 50%; border: 2px solid var(--s1); }
        .cell { fill: var(--s0); stroke: var(--rule); stroke-width: .5; }
        footer { margin-top: 3rem; font-size: .85rem; border-top: 1px solid var(--rule); padding-top: .75rem; }
        @media (max-width: 40rem) { dl { grid-template-columns: 1fr; } .facts th { width: 8rem; } }
        @media print { :root { --ground: #ffffff; --ink: #000000; --soft: #444444; --rule: #bbbbbb; --panel: #ffffff;
            --accent: #000000; --good: #116329; --bad: #a40e26; --open: #7a4e00; --s0: #0072b2; --s1: #c44e00;
            --s2: #007a5a; --s3: #8f3a84; --s4: #6b5b00; --s5: #57606a; }
          body { max-width: none; padding: 0; font-size: 10pt; } nav { display: none; }
          h2 { break-after: avoid; } figure, .exchange, tr, .verdict { break-inside: avoid; } svg { max-width: 14cm; }
          .wide { overflow: visible; } a { color: inherit; text-decoration: none; } }
        @page { margin: 18mm; }

        """
}
