//! The screen as text.

use std::{
    fs::OpenOptions,
    io::{self, Write},
    path::{Path, PathBuf},
};

use ratatui::buffer::Buffer;
use unicode_width::UnicodeWidthStr;

/// What stands in `buffer`, line by line, without colours.
pub fn text(buffer: &Buffer) -> String {
    let mut text = String::new();
    for y in buffer.area.top()..buffer.area.bottom() {
        let mut line = String::new();
        let mut x = buffer.area.left();
        while x < buffer.area.right() {
            let symbol = buffer[(x, y)].symbol();
            line.push_str(symbol);
            // A wide character hides the cell behind it.
            x += (symbol.width() as u16).max(1);
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Writes `text` into a new file in `folder`, named by tab and time; never over another one.
///
/// # Errors
/// When the folder cannot be written to.
pub fn write(folder: &Path, tab: &str, now: jiff::Timestamp, text: &str) -> io::Result<PathBuf> {
    let stem = format!("screen-{}-{}", now.strftime("%Y%m%dT%H%M%SZ"), tab.to_lowercase());
    for suffix in 1..100 {
        let name = if suffix == 1 { format!("{stem}.txt") } else { format!("{stem}-{suffix}.txt") };
        let path = folder.join(name);
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(mut file) => return file.write_all(text.as_bytes()).map(|()| path),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            Err(e) => return Err(e),
        }
    }
    Err(io::Error::new(io::ErrorKind::AlreadyExists, format!("there are a hundred files named {stem}")))
}

#[cfg(test)]
mod tests {
    use ratatui::{layout::Rect, style::Style};

    use super::*;

    #[test]
    fn wide_characters_take_two_cells_and_stand_once_in_the_text() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 10, 2));
        buffer.set_string(0, 0, "선착순|x", Style::new());
        assert_eq!(text(&buffer), "선착순|x\n\n");
    }

    #[test]
    fn nothing_is_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let now = jiff::Timestamp::UNIX_EPOCH;
        let paths = [(); 2].map(|()| write(folder.path(), "Redis", now, "x").unwrap());
        assert_eq!(paths[0].file_name().unwrap(), "screen-19700101T000000Z-redis.txt");
        assert_eq!(paths[1].file_name().unwrap(), "screen-19700101T000000Z-redis-2.txt");
    }
}
