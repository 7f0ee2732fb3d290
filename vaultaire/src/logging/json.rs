//! An event as a line of JSON, byte for byte as tracing-subscriber's own formatter writes it, without a serializer in
//! between: a small request has one line, and that took a twentieth of its time. What stands in a span is left to the original.

use std::cell::RefCell;
use std::fmt::{self, Debug, Write as _};

use chrono::{DateTime, Utc};
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::{Format, Json, Writer};
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Longer than most lines.
const LINE: usize = 512;

pub struct Plain<T = SystemTime> {
    original: Format<Json, T>,
    now: fn() -> DateTime<Utc>,
}

impl Plain {
    #[expect(
        clippy::disallowed_methods,
        reason = "a line says when it was really written"
    )]
    pub fn new() -> Self {
        Plain {
            original: tracing_subscriber::fmt::format()
                .json()
                .flatten_event(true)
                .with_span_list(false),
            now: Utc::now,
        }
    }
}

impl<S, N, T> FormatEvent<S, N> for Plain<T>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    T: FormatTime,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        if event.parent().is_some() || context.lookup_current().is_some() {
            return self.original.format_event(context, writer, event);
        }
        let mut line = Line(String::with_capacity(LINE));
        line.0.push_str("{\"timestamp\":\"");
        push_time(&mut line.0, (self.now)());
        line.0.push_str("\",\"level\":\"");
        line.0.push_str(event.metadata().level().as_str());
        line.0.push('"');
        event.record(&mut line);
        line.name("target");
        line.text(event.metadata().target());
        line.0.push_str("}\n");
        writer.write_str(&line.0)
    }
}

thread_local! {
    /// The second that was last written, and how.
    static SECOND: RefCell<(i64, String)> = const { RefCell::new((i64::MIN, String::new())) };
}

/// `yyyy-mm-ddThh:mm:ss.uuuuuuZ`.
fn push_time(out: &mut String, now: DateTime<Utc>) {
    SECOND.with_borrow_mut(|(second, written)| {
        if *second != now.timestamp() {
            *second = now.timestamp();
            *written = now.format("%Y-%m-%dT%H:%M:%S.").to_string();
        }
        out.push_str(written);
    });
    // A leap second has more than a million of them, which are not written.
    let micros = now.timestamp_subsec_micros() % 1_000_000;
    // Seven digits, of which the first is not of the number.
    let mut digits = itoa::Buffer::new();
    let digits = digits.format(1_000_000 + micros).get(1..);
    out.push_str(digits.unwrap_or_default());
    out.push('Z');
}

fn needs_escapes(text: &str) -> bool {
    // To the end, without a branch for each byte.
    text.bytes().fold(false, |any, b| {
        any | (b < b' ') | (b == b'"') | (b == b'\\')
    })
}

/// An object in the making, with a member at least.
struct Line(String);

impl Line {
    /// Names stand in the program, and none needs escapes.
    fn name(&mut self, name: &str) {
        self.0.push_str(",\"");
        self.0.push_str(name);
        self.0.push_str("\":");
    }

    fn text(&mut self, text: &str) {
        if needs_escapes(text) {
            return self.json(&text.into());
        }
        self.0.push('"');
        self.0.push_str(text);
        self.0.push('"');
    }

    fn json(&mut self, value: &serde_json::Value) {
        // Writing to a string does not fail.
        let _ = write!(self.0, "{value}");
    }

    fn number(&mut self, number: impl itoa::Integer) {
        self.0.push_str(itoa::Buffer::new().format(number));
    }
}

impl Visit for Line {
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.name(field.name());
        self.number(value);
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.name(field.name());
        self.number(value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.name(field.name());
        self.json(&value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.name(field.name());
        self.0.push_str(if value { "true" } else { "false" });
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.name(field.name());
        self.text(value);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.name(field.name());
        self.0.push('"');
        let from = self.0.len();
        let _ = write!(self.0, "{value:?}");
        if self.0.get(from..).is_some_and(needs_escapes) {
            let text = self.0.split_off(from);
            self.0.pop();
            self.text(&text);
        } else {
            self.0.push('"');
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use tracing_subscriber::fmt::MakeWriter;
    use tracing_subscriber::fmt::format::JsonFields;

    use super::*;

    /// 2026-01-02T03:04:05.000678Z.
    fn fixed() -> DateTime<Utc> {
        DateTime::from_timestamp(1_767_323_045, 678_999).unwrap()
    }

    struct Fixed;

    impl FormatTime for Fixed {
        fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
            write!(writer, "2026-01-02T03:04:05.000678Z")
        }
    }

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl<'a> MakeWriter<'a> for Kept {
        type Writer = Kept;

        fn make_writer(&'a self) -> Kept {
            self.clone()
        }
    }

    fn events() {
        tracing::info!(
            request_id = "00FF",
            tenant = "-",
            method = "GET",
            status = 200_u16,
            bytes_out = u64::MAX,
            none = 0_u64,
            ten = 10_u64,
            broken = false,
            "answered"
        );
        let error = io::Error::other("a \"quoted\" \\ line\nand \u{1} \u{7f} é");
        tracing::warn!(%error, reason = "tab\tand é", signed = -5, ratio = 0.1, whole = 3.0, nan = f64::NAN, "what {} is", 1);
        tracing::error!(of = ?Some("x"), big = 1_u128 << 80, target_is = "not this");
        tracing::info!(target: "some::where", "{}", "with \"quotes\"");
        tracing::info!(error = &error as &(dyn std::error::Error + 'static));
        let span = tracing::info_span!("outer", id = 7);
        tracing::info!(parent: &span, "its child");
        let _within = span.enter();
        tracing::info!(inside = true, "in a span");
    }

    #[test]
    fn lines_are_those_of_the_original() {
        let written = |of: &dyn Fn(Kept) -> tracing::Dispatch| {
            let kept = Kept::default();
            tracing::dispatcher::with_default(&of(kept.clone()), events);
            let bytes = kept.0.lock().unwrap().clone();
            String::from_utf8(bytes).unwrap()
        };
        let ours = written(&|kept| {
            tracing_subscriber::fmt()
                .fmt_fields(JsonFields::new())
                .with_ansi(false)
                .event_format(Plain {
                    original: Plain::new().original.with_timer(Fixed),
                    now: fixed,
                })
                .with_writer(kept)
                .finish()
                .into()
        });
        let theirs = written(&|kept| {
            tracing_subscriber::fmt()
                .json()
                .flatten_event(true)
                .with_span_list(false)
                .with_timer(Fixed)
                .with_writer(kept)
                .finish()
                .into()
        });
        assert_eq!(ours.lines().count(), 7);
        for (ours, theirs) in ours.lines().zip(theirs.lines()) {
            assert_eq!(ours, theirs);
        }
    }
}
