//! The plot: CPU time of one request in each proxy, as bars, one small chart for each operation and engine.
//! Plain SVG that reads on a light and on a dark page.

use std::fmt::Write;

use crate::report::{median, name};
use crate::run::{Engine, Results, Who};
use crate::workload::WORKLOADS;

const WIDTH: f64 = 860.0;
const COLUMN: f64 = WIDTH / 2.0;
const NAMES: f64 = 120.0;
const VALUES: f64 = 70.0;
const BAR: f64 = 16.0;
const TITLE: f64 = 34.0;
const HEADER: f64 = 44.0;
/// GET, PUT, HEAD, LIST.
const SHOWN: usize = 4;
const STYLE: &str = "text{font:13px system-ui,sans-serif;fill:#57606a}.t{font-weight:600}\
    rect{fill:#8c959f}.v{fill:#0969da}\
    @media(prefers-color-scheme:dark){text{fill:#9da7b3}rect{fill:#6e7681}.v{fill:#4493f8}}";

pub fn svg(results: &Results) -> String {
    let columns = [
        (
            Engine::Synthetic,
            "in front of an engine that costs nothing",
        ),
        (Engine::SeaweedFs, "in front of SeaweedFS"),
    ];
    let proxies = [Who::Nginx, Who::Rclone, Who::S3sProxy, Who::Vaultaire];
    let chart = TITLE + BAR * proxies.len() as f64 + 10.0;
    let height = HEADER + chart * SHOWN as f64;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" width=\"{WIDTH}\" height=\"{height}\" \
         role=\"img\" aria-label=\"CPU time of a request in each proxy\"><style>{STYLE}</style>\n"
    );
    for (column, (engine, title)) in columns.into_iter().enumerate() {
        let left = column as f64 * COLUMN;
        text(
            &mut out,
            left,
            20.0,
            "t",
            &format!("CPU of a request, {title}"),
        );
        for (at, workload) in WORKLOADS.iter().enumerate().take(SHOWN) {
            let top = HEADER + at as f64 * chart;
            text(&mut out, left, top + 18.0, "t", workload.name);
            let bars: Vec<(Who, f64)> = proxies
                .into_iter()
                .filter_map(|who| {
                    let cell = results.cells.get(&(engine, at, who))?;
                    Some((who, median(cell, |s| s.cpu_micros)))
                })
                .collect();
            let most = bars.iter().map(|(_, cpu)| *cpu).fold(1.0, f64::max);
            for (i, (who, cpu)) in bars.into_iter().enumerate() {
                let y = top + TITLE - 8.0 + BAR * i as f64;
                let wide = (COLUMN - NAMES - VALUES) * cpu / most;
                let class = if who == Who::Vaultaire { "v" } else { "n" };
                text(&mut out, left, y + BAR - 4.0, "n", name(who));
                let _ = writeln!(
                    out,
                    "<rect class=\"{class}\" x=\"{:.1}\" y=\"{:.1}\" width=\"{wide:.1}\" height=\"{:.1}\"/>",
                    left + NAMES,
                    y + 1.0,
                    BAR - 3.0
                );
                let value = format!("{cpu:.0} µs");
                text(
                    &mut out,
                    left + NAMES + wide + 6.0,
                    y + BAR - 4.0,
                    "n",
                    &value,
                );
            }
        }
    }
    out.push_str("</svg>\n");
    out
}

fn text(out: &mut String, x: f64, y: f64, class: &str, text: &str) {
    let _ = writeln!(
        out,
        "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>"
    );
}
