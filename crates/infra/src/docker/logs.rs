//! Logs of containers, with the times that the Engine gives their lines.

use bollard::{
    Docker,
    container::LogOutput,
    errors::Error,
    query_parameters::{LogsOptions, LogsOptionsBuilder},
};
use futures_util::{Stream, StreamExt as _};
use jiff::Timestamp;

use super::stats::LIMIT;

/// Lines that are searched for one that a server writes at its start.
const MOST_SEARCHED: usize = 5_000;

/// A line with its time.
pub type Line = (Timestamp, String);

/// The last `lines` lines, and of those only the ones from `since` on.
///
/// # Errors
/// The Engine's. A container that is not there has no lines.
pub async fn tail(docker: &Docker, id: &str, lines: usize, since: Option<Timestamp>) -> Result<Vec<Line>, Error> {
    let options = options(since).tail(&lines.to_string()).build();
    let mut stream = std::pin::pin!(stream(docker, id, options));
    let mut all = Vec::new();
    // Each piece has its time limit: a log may be long, and an Engine may be stuck.
    while let Some(piece) = tokio::time::timeout(LIMIT, stream.next()).await.map_err(|_| Error::RequestTimeoutError)? {
        match piece {
            Ok(lines) => all.extend(lines),
            Err(Error::DockerResponseServerError { status_code: 404, .. }) => break,
            Err(error) => return Err(error),
        }
    }
    // The Engine counts whole seconds.
    all.retain(|(at, _)| since.is_none_or(|since| *at >= since));
    Ok(all)
}

/// What stands behind `words` in the first line since `since` that has them, up to the next blank; none where no line of the
/// first thousands has.
pub async fn said(docker: &Docker, id: &str, since: Option<Timestamp>, words: &str) -> Option<String> {
    let mut stream = std::pin::pin!(stream(docker, id, options(since).tail("all").build()));
    let mut seen = 0;
    while let Ok(Some(Ok(lines))) = tokio::time::timeout(LIMIT, stream.next()).await {
        seen += lines.len();
        let found = lines.iter().find_map(|(_, line)| line.split_once(words)?.1.split_whitespace().next());
        if found.is_some() || seen > MOST_SEARCHED {
            return found.map(str::to_owned);
        }
    }
    None
}

/// Lines later than `after`, as they are written; ends when the container does.
pub fn follow(docker: &Docker, id: &str, after: Option<Timestamp>) -> impl Stream<Item = Result<Vec<Line>, Error>> {
    let later = move |line: &Line| after.is_none_or(|after| line.0 > after);
    stream(docker, id, options(after).follow(true).build()).map(move |lines| {
        let mut lines = lines?;
        lines.retain(later);
        Ok(lines)
    })
}

fn options(since: Option<Timestamp>) -> LogsOptionsBuilder {
    let options = LogsOptionsBuilder::default().stdout(true).stderr(true).timestamps(true);
    let second = since.and_then(|since| i32::try_from(since.as_second()).ok());
    match second {
        Some(second) => options.since(second),
        None => options,
    }
}

fn stream(docker: &Docker, id: &str, options: LogsOptions) -> impl Stream<Item = Result<Vec<Line>, Error>> {
    let mut last = Timestamp::UNIX_EPOCH;
    docker.logs(id, Some(options)).map(move |piece| Ok(lines(&piece?, &mut last)))
}

/// Lines of one piece. Each begins with its time; what does not goes on with the one before.
fn lines(piece: &LogOutput, last: &mut Timestamp) -> Vec<Line> {
    let text = String::from_utf8_lossy(piece.as_ref());
    let lines = text.lines().filter_map(|line| {
        let (at, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = match at.parse() {
            Ok(at) => {
                *last = at;
                rest
            }
            Err(_) => line,
        };
        let rest = rest.trim_end_matches('\r');
        (!rest.is_empty()).then(|| (*last, rest.to_owned()))
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engines_time_is_taken_off_the_line() {
        let mut last = Timestamp::UNIX_EPOCH;
        let text =
            "2026-11-21T09:55:01.501811123Z 1:M 21 Nov 2026 * Ready\r\n2026-11-21T09:55:02.000000000Z \nand on\n";
        let piece = LogOutput::StdOut { message: text.as_bytes().to_vec().into() };
        let lines = lines(&piece, &mut last);
        assert_eq!(lines[0], ("2026-11-21T09:55:01.501811123Z".parse().unwrap(), "1:M 21 Nov 2026 * Ready".to_owned()));
        assert_eq!(lines[1], ("2026-11-21T09:55:02Z".parse().unwrap(), "and on".to_owned()));
        assert_eq!(lines.len(), 2, "an empty line says nothing");
    }
}
