//! Charts as geometry: figures in, paths and words out, for `partials/chart.html` to draw as inline SVG. Nothing here
//! knows of requests or pages, and colours are the style sheet's.

use crate::figures::{Size, count, money};

/// Of the drawing, which the page stretches to whatever room there is.
const HEIGHT: f64 = 100.0;
const COLUMN: usize = 10;
/// What is not nothing can be seen.
const LEAST: f64 = 0.8;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit<'a> {
    Bytes,
    Count,
    /// The smallest unit of this currency.
    Money(&'a str),
}

impl Unit<'_> {
    pub fn words(self, figure: u64) -> String {
        match self {
            Self::Bytes => Size::of(figure).to_string(),
            Self::Count => count(figure),
            Self::Money(currency) => money(i64::try_from(figure).unwrap_or(i64::MAX), currency),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// What there is at the end of each column.
    Area,
    /// What happened in each column, one series on the other.
    Bars,
}

pub struct Series {
    pub name: &'static str,
    /// The style sheet's word for it.
    pub class: &'static str,
    pub values: Vec<u64>,
}

/// What is to be drawn. Every series has as many values as there are labels.
pub struct Plot<'a> {
    pub id: String,
    pub title: &'static str,
    pub unit: Unit<'a>,
    pub shape: Shape,
    /// The name of each column.
    pub labels: &'a [String],
    pub series: Vec<Series>,
    /// A line that is not to be crossed; drawn once the figures come near it.
    pub limit: Option<u64>,
    /// The last column is not over yet.
    pub running: bool,
}

/// As `partials/chart.html` draws it.
#[derive(Debug, PartialEq, Eq)]
pub struct Chart {
    pub id: String,
    pub title: &'static str,
    /// What there is now, or was in all.
    pub headline: String,
    pub width: usize,
    pub layers: Vec<Layer>,
    /// From the top to nothing.
    pub scale: [String; 3],
    /// The first column's name, one in the middle, the last one's.
    pub ends: [String; 3],
    pub columns: Vec<Column>,
    /// How far down the line is.
    pub limit: Option<String>,
    /// All of it in a sentence, for who does not see it.
    pub summary: String,
    pub is_empty: bool,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Layer {
    pub name: &'static str,
    pub class: &'static str,
    pub path: String,
    /// Of an area: its upper edge.
    pub edge: Option<String>,
}

#[derive(Debug, PartialEq, Eq)]
pub struct Column {
    pub x: usize,
    /// `9 Mar 2026: 12 of class A, 3 of class B`
    pub words: String,
}

impl Plot<'_> {
    pub fn draw(self) -> Chart {
        let totals = self.totals();
        let most = totals.iter().copied().max().unwrap_or(0);
        // Far from the limit its line would press all else to the ground.
        let limit = self.limit.filter(|limit| most > 0 && most >= limit / 2);
        let top = nice(most.max(limit.unwrap_or(0)), self.unit);
        let width = self.labels.len().max(1) * COLUMN;
        let scale = [top, top / 2, 0].map(|figure| self.unit.words(figure));
        Chart {
            id: self.id.clone(),
            title: self.title,
            headline: self.headline(&totals),
            width,
            layers: self.layers(top),
            scale,
            ends: self.ends(),
            columns: self.columns(),
            limit: limit.map(|limit| short(height(limit, top))),
            summary: self.summary(&totals),
            is_empty: most == 0,
        }
    }

    fn totals(&self) -> Vec<u64> {
        let sum = |column| {
            let values = self
                .series
                .iter()
                .filter_map(|series| series.values.get(column));
            values.fold(0_u64, |sum, value| sum.saturating_add(*value))
        };
        (0..self.labels.len()).map(sum).collect()
    }

    fn headline(&self, totals: &[u64]) -> String {
        self.unit.words(match self.shape {
            Shape::Area => totals.last().copied().unwrap_or(0),
            Shape::Bars => totals
                .iter()
                .fold(0, |sum, total| sum.saturating_add(*total)),
        })
    }

    fn layers(&self, top: u64) -> Vec<Layer> {
        let mut below = vec![0.0; self.labels.len()];
        let mut layers = Vec::new();
        for series in &self.series {
            let (path, edge) = match self.shape {
                Shape::Area => area(&series.values, top),
                Shape::Bars => (bars(&series.values, top, &mut below), None),
            };
            layers.push(Layer {
                name: series.name,
                class: series.class,
                path,
                edge,
            });
        }
        layers
    }

    fn ends(&self) -> [String; 3] {
        let at = |column: usize| self.labels.get(column).cloned().unwrap_or_default();
        let last = self.labels.len().saturating_sub(1);
        match last {
            0 => [at(0), String::new(), String::new()],
            1 => [at(0), String::new(), at(1)],
            last => [at(0), at(last / 2), at(last)],
        }
    }

    fn columns(&self) -> Vec<Column> {
        let columns = self.labels.iter().enumerate();
        columns
            .map(|(column, label)| Column {
                x: column * COLUMN,
                words: format!("{}: {}", self.named(column, label), self.values(column)),
            })
            .collect()
    }

    fn named(&self, column: usize, label: &str) -> String {
        match self.running && column + 1 == self.labels.len() {
            true => format!("{label}, so far"),
            false => label.to_owned(),
        }
    }

    fn values(&self, column: usize) -> String {
        let values = self.series.iter().map(|series| {
            let figure = self
                .unit
                .words(series.values.get(column).copied().unwrap_or(0));
            match self.series.len() {
                1 => figure,
                _ => format!("{figure} {}", series.name),
            }
        });
        values.collect::<Vec<_>>().join(", ")
    }

    fn summary(&self, totals: &[u64]) -> String {
        let (Some(first), Some(last)) = (self.labels.first(), self.labels.last()) else {
            return format!("{}: nothing.", self.title);
        };
        let most = totals.iter().copied().max().unwrap_or(0);
        let from = format!("{}, {first} to {last}", self.title);
        if most == 0 {
            return format!("{from}: nothing.");
        }
        let column = totals.iter().position(|total| *total == most).unwrap_or(0);
        let when = self.labels.get(column).map_or("", String::as_str);
        let least = totals.iter().copied().min().unwrap_or(0);
        let words = |figure| self.unit.words(figure);
        match self.shape {
            Shape::Area => format!(
                "{from}: between {} and {}, at the end {}.",
                words(least),
                words(most),
                self.headline(totals)
            ),
            Shape::Bars => format!(
                "{from}: {} in all, the most {when} with {}.",
                self.headline(totals),
                words(most)
            ),
        }
    }
}

/// The smallest of 2, 4, 6, 8, 10, 20, … that is no less, so that half of it is a whole number too. Bytes reach at
/// least to a kilobyte, money to two whole ones.
fn nice(figure: u64, unit: Unit<'_>) -> u64 {
    let least = match unit {
        Unit::Bytes => 1000,
        Unit::Count => 2,
        // Two dollars: half of it has no cents.
        Unit::Money(_) => 200,
    };
    let mut step = 1_u64;
    loop {
        for even in [2, 4, 6, 8, 10] {
            let top = step.saturating_mul(even);
            if top >= figure.max(least) || top == u64::MAX {
                return top;
            }
        }
        step = step.saturating_mul(10);
    }
}

/// How far down from the top.
fn height(figure: u64, top: u64) -> f64 {
    HEIGHT - HEIGHT * (figure as f64 / top.max(1) as f64)
}

/// One decimal at most.
fn short(figure: f64) -> String {
    let text = format!("{figure:.1}");
    match text.strip_suffix(".0") {
        Some(whole) => whole.to_owned(),
        None => text,
    }
}

fn bars(values: &[u64], top: u64, below: &mut [f64]) -> String {
    let mut path = String::new();
    for (column, (value, below)) in values.iter().zip(below).enumerate() {
        if *value == 0 {
            continue;
        }
        let tall = (HEIGHT * (*value as f64 / top.max(1) as f64)).max(LEAST);
        let (from, to) = (HEIGHT - *below, HEIGHT - *below - tall);
        *below += tall;
        let left = column * COLUMN + 1;
        path.push_str(&format!(
            "M{left} {}V{}h{}V{}z",
            short(from),
            short(to),
            COLUMN - 2,
            short(from)
        ));
    }
    path
}

/// The area, and its upper edge: level at both ends, from the middle of each column to that of the next.
fn area(values: &[u64], top: u64) -> (String, Option<String>) {
    let (Some(first), Some(last)) = (values.first(), values.last()) else {
        return (String::new(), None);
    };
    let width = values.len() * COLUMN;
    let mut edge = format!("M0 {}", short(height(*first, top)));
    for (column, value) in values.iter().enumerate() {
        let middle = column * COLUMN + COLUMN / 2;
        edge.push_str(&format!("L{middle} {}", short(height(*value, top))));
    }
    edge.push_str(&format!("L{width} {}", short(height(*last, top))));
    (format!("{edge}V100H0z"), Some(edge))
}

/// How full something is, in percent of `limit`, with a decimal; more than all of it is all of it.
pub fn part(used: u64, limit: u64) -> String {
    let percent = match limit {
        0 => 100.0,
        limit => (100.0 * used as f64 / limit as f64).min(100.0),
    };
    let percent = if used > 0 {
        percent.max(LEAST)
    } else {
        percent
    };
    short(percent)
}

/// The style sheet's word for how near the end is.
pub fn tone(used: u64, limit: u64) -> &'static str {
    let (used, limit) = (u128::from(used), u128::from(limit));
    match (used >= limit, used * 10 >= limit * 8) {
        (true, _) => "bad",
        (_, true) => "warn",
        _ => "good",
    }
}

/// What was held at the end of each unit, from what is held now and how much each unit added or took away.
pub fn walk_back(now: u64, deltas: &[i64]) -> Vec<u64> {
    let mut held = i128::from(now);
    let mut ends: Vec<u64> = deltas
        .iter()
        .rev()
        .map(|delta| {
            let end = u64::try_from(held.max(0)).unwrap_or(u64::MAX);
            held -= i128::from(*delta);
            end
        })
        .collect();
    ends.reverse();
    ends
}

#[cfg(test)]
#[path = "charts_tests.rs"]
mod tests;
