// The style of a report: one column, readable on a screen in light and dark, and on paper.
import { themeCss } from '../charts/theme.ts'

export const reportCss =
  themeCss(':root') +
  `
:root{color-scheme:light dark}
*{box-sizing:border-box}
body{margin:0;background:var(--ft-background);color:var(--ft-text);font:15px/1.55 system-ui,-apple-system,"Segoe UI",sans-serif}
main{max-width:980px;margin:0 auto;padding:32px 20px 64px}
h1{font-size:28px;line-height:1.2;margin:0 0 6px}
h2{font-size:20px;margin:40px 0 12px;padding-top:12px;border-top:1px solid var(--ft-grid)}
p{margin:10px 0;max-width:80ch}
.lead{color:var(--ft-muted);font-size:16px;margin:0 0 18px}
.facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(190px,1fr));gap:10px;margin:20px 0;padding:0}
.facts div{background:var(--ft-panel);border:1px solid var(--ft-grid);border-radius:8px;padding:10px 14px}
.facts dt{color:var(--ft-muted);font-size:13px}
.facts dd{margin:2px 0 0;font-size:17px;font-weight:600;font-variant-numeric:tabular-nums;overflow-wrap:anywhere}
nav ol{margin:0;padding-left:20px}
nav a{color:var(--ft-accent)}
figure{margin:20px 0}
figure svg{display:block;max-width:100%;height:auto;border:1px solid var(--ft-grid);border-radius:8px}
.scroll{overflow-x:auto;margin:16px 0}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:13px}
caption{text-align:left;color:var(--ft-muted);padding-bottom:6px;white-space:nowrap}
th,td{padding:5px 12px 5px 0;text-align:left;vertical-align:top;white-space:nowrap;border-bottom:1px solid var(--ft-grid)}
th{border-bottom:2px solid var(--ft-muted);font-weight:600}
th.right,td.right{text-align:right}
tbody tr:hover{background:var(--ft-panel)}
pre{background:var(--ft-panel);border:1px solid var(--ft-grid);border-radius:8px;padding:12px 16px;overflow-x:auto;font-size:13px}
footer{margin-top:48px;color:var(--ft-muted);font-size:13px}
@media (max-width:640px){main{padding:20px 14px 48px}.facts{grid-template-columns:repeat(auto-fill,minmax(140px,1fr))}figure{overflow-x:auto}figure svg{min-width:600px;max-width:none}caption{white-space:normal}}
@page{margin:14mm}
@media print{
body{font-size:11px}
main{max-width:none;padding:0}
h1{font-size:22px}
h2{font-size:16px;margin-top:24px;break-after:avoid}
p,.lead{max-width:none;orphans:3;widows:3}
nav{display:none}
.facts{grid-template-columns:repeat(4,1fr)}
.facts div{padding:6px 10px}
.facts dd{font-size:13px}
figure,.facts div,pre,tr{break-inside:avoid}
figure svg{width:100%;max-height:115mm;min-width:0}
.scroll{overflow:visible}
table{font-size:9px}
caption{white-space:normal;break-after:avoid}
th,td{padding:2px 8px 2px 0;white-space:normal;overflow-wrap:break-word}
td.right{white-space:nowrap}
thead{display:table-header-group}
pre{white-space:pre-wrap;overflow-wrap:anywhere}
footer{margin-top:24px}
}
`
