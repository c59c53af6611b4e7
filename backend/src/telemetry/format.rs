//! The two forms in which metrics are given: Prometheus' text format 0.0.4, and OpenMetrics 1.0 to who asks for it.

use std::fmt::Write as _;

/// A form of the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' text format 0.0.4, which every reader knows.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// What a header `Accept` asks for: OpenMetrics only where it is named, and not liked less than plain text.
    pub fn asked(accept: Option<&str>) -> Self {
        let (mut open, mut plain, mut any) = (None, None, None);
        for range in accept.unwrap_or_default().split(',') {
            let mut parts = range.split(';').map(str::trim);
            let kind = parts.next().unwrap_or_default().to_ascii_lowercase();
            let parameters: Vec<_> = parts.filter_map(|part| part.split_once('=')).collect();
            let parameter = |name: &str| {
                parameters
                    .iter()
                    .find(|(known, _)| known.trim().eq_ignore_ascii_case(name))
                    .map(|(_, value)| value.trim())
            };
            let weight = parameter("q").map_or(1.0, |q| q.parse::<f32>().unwrap_or(0.0));
            let version = parameter("version").map(|version| version.trim_matches('"'));
            let liked = |before: &mut Option<f32>| *before = Some(before.map_or(weight, |other| other.max(weight)));
            match kind.as_str() {
                "application/openmetrics-text" if matches!(version, None | Some("1.0.0" | "0.0.1")) => liked(&mut open),
                "text/plain" if matches!(version, None | Some("0.0.4")) => liked(&mut plain),
                "text/*" | "*/*" => liked(&mut any),
                _ => {}
            }
        }
        let open = open.unwrap_or(0.0);
        if open > 0.0 && open >= plain.or(any).unwrap_or(0.0) { Self::OpenMetrics } else { Self::Text }
    }

    /// Its content type.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// `text`, which is OpenMetrics, in this form. There a counter is named without the `_total` of its samples, units have
    /// a line of their own, and the end is marked.
    pub fn of(self, text: String) -> String {
        if self == Self::OpenMetrics {
            return text;
        }
        let mut out = String::with_capacity(text.len());
        let mut help = None;
        for line in text.lines() {
            if let Some(of) = line.strip_prefix("# HELP ") {
                // Its name depends on the type, which follows.
                help = of.split_once(' ');
            } else if let Some((name, kind)) = line.strip_prefix("# TYPE ").and_then(|of| of.split_once(' ')) {
                let (end, kind) = match kind {
                    "counter" => ("_total", kind),
                    "unknown" => ("", "untyped"),
                    _ => ("", kind),
                };
                if let Some((_, words)) = help.take() {
                    let _ = writeln!(out, "# HELP {name}{end} {words}");
                }
                // Writing into a String cannot fail.
                let _ = writeln!(out, "# TYPE {name}{end} {kind}");
            } else if !line.starts_with("# UNIT ") && line != "# EOF" {
                out += line;
                out.push('\n');
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_asks_for_openmetrics_gets_it_and_everybody_else_the_older_form() {
        use Format::{OpenMetrics, Text};
        for (accept, format) in [
            (None, Text),
            (Some(""), Text),
            (Some("*/*"), Text),
            (Some("text/html, */*;q=0.1"), Text),
            (Some("application/json"), Text),
            (Some("application/openmetrics-text"), OpenMetrics),
            (Some("application/openmetrics-text; version=1.0.0, text/plain;q=0.5"), OpenMetrics),
            (Some("Application/OpenMetrics-Text; Version=\"1.0.0\"; Q=0.5"), OpenMetrics),
            (Some("application/openmetrics-text;version=2.0.0"), Text),
            (Some("application/openmetrics-text;q=0"), Text),
            (Some("application/openmetrics-text;q=0.3,text/plain;version=0.0.4;q=0.9"), Text),
            (Some("application/openmetrics-text;q=nonsense"), Text),
            // What Prometheus 2.42 sends.
            (
                Some(
                    "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,\
                     text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
                ),
                OpenMetrics,
            ),
        ] {
            assert_eq!(Format::asked(accept), format, "{accept:?}");
        }
    }
}
