//! Colours and glyphs. A state is never told by colour alone: it has its word or sign beside it, so that every theme,
//! also the one without colours, says the same.

use ratatui::{
    style::{Color, Modifier, Style},
    symbols::border,
};

/// What a piece of the screen says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Role {
    /// Plain text.
    #[default]
    Text,
    /// Labels, and figures of a source that is away.
    Dim,
    /// Titles and the tab that is shown.
    Title,
    /// As it should be.
    Good,
    /// Look at it.
    Warn,
    /// Wrong.
    Bad,
    /// Neutral figures that matter.
    Accent,
    /// First line of a drawing (p50).
    First,
    /// Second (p95).
    Second,
    /// Third (p99).
    Third,
    /// The row under the cursor.
    Selected,
    /// A row that the search found.
    Found,
    /// Frames.
    Frame,
    /// The frame that has the keys.
    FrameFocused,
}

/// A set of colours.
// The comments of its values are the help of `--theme`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, clap::ValueEnum)]
#[expect(clippy::doc_markdown, reason = "these comments are the help that people read")]
pub enum Theme {
    /// The terminal's own sixteen
    #[default]
    Default,
    /// Blue, yellow and orange instead of green, yellow and red
    ColourBlind,
    /// Bright on black
    HighContrast,
    /// None, as with NO_COLOR
    None,
}

impl Theme {
    /// All of them, in the order in which a key walks through them.
    pub const ALL: [Self; 4] = [Self::Default, Self::ColourBlind, Self::HighContrast, Self::None];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::ColourBlind => "colour-blind",
            Self::HighContrast => "high-contrast",
            Self::None => "none",
        }
    }

    /// The one after it.
    #[must_use]
    pub fn next(self) -> Self {
        let at = Self::ALL.iter().position(|t| *t == self).unwrap_or(0);
        Self::ALL[(at + 1) % Self::ALL.len()]
    }

    /// How `role` is drawn.
    pub fn style(self, role: Role) -> Style {
        let plain = Style::new();
        match self {
            Self::Default => match role {
                Role::Text => plain,
                Role::Dim | Role::Frame => plain.fg(Color::DarkGray),
                Role::Title => plain.fg(Color::Cyan).add_modifier(Modifier::BOLD),
                Role::Good | Role::First => plain.fg(Color::Green),
                Role::Warn | Role::Second => plain.fg(Color::Yellow),
                Role::Bad => plain.fg(Color::Red).add_modifier(Modifier::BOLD),
                Role::Accent => plain.add_modifier(Modifier::BOLD),
                Role::Third => plain.fg(Color::Magenta),
                Role::Selected => plain.add_modifier(Modifier::REVERSED),
                Role::Found => plain.add_modifier(Modifier::UNDERLINED),
                Role::FrameFocused => plain.fg(Color::Cyan),
            },
            // Okabe and Ito's palette, as near as 256 colours come.
            Self::ColourBlind => match role {
                Role::Text => plain,
                Role::Dim | Role::Frame => plain.fg(Color::Indexed(245)),
                Role::Title => plain.fg(Color::Indexed(117)).add_modifier(Modifier::BOLD),
                Role::Good | Role::First => plain.fg(Color::Indexed(39)),
                Role::Warn | Role::Second => plain.fg(Color::Indexed(220)),
                Role::Bad => plain.fg(Color::Indexed(208)).add_modifier(Modifier::BOLD | Modifier::UNDERLINED),
                Role::Accent => plain.add_modifier(Modifier::BOLD),
                Role::Third => plain.fg(Color::Indexed(175)),
                Role::Selected => plain.add_modifier(Modifier::REVERSED),
                Role::Found => plain.add_modifier(Modifier::UNDERLINED),
                Role::FrameFocused => plain.fg(Color::Indexed(117)),
            },
            Self::HighContrast => {
                let bright = plain.fg(Color::White).bg(Color::Black);
                match role {
                    Role::Text | Role::Dim | Role::Frame => bright,
                    Role::Title | Role::Accent => bright.add_modifier(Modifier::BOLD),
                    Role::Good | Role::First => bright.fg(Color::LightGreen),
                    Role::Warn | Role::Second => bright.fg(Color::LightYellow).add_modifier(Modifier::BOLD),
                    Role::Bad => plain.fg(Color::White).bg(Color::Red).add_modifier(Modifier::BOLD),
                    Role::Third => bright.fg(Color::LightMagenta),
                    Role::Selected => plain.fg(Color::Black).bg(Color::LightYellow),
                    Role::Found => bright.add_modifier(Modifier::UNDERLINED | Modifier::BOLD),
                    Role::FrameFocused => bright.fg(Color::LightYellow),
                }
            }
            Self::None => match role {
                Role::Text | Role::Good | Role::First | Role::Second | Role::Third | Role::Frame => plain,
                Role::Dim => plain.add_modifier(Modifier::DIM),
                Role::Title | Role::Accent | Role::FrameFocused => plain.add_modifier(Modifier::BOLD),
                Role::Warn | Role::Found => plain.add_modifier(Modifier::UNDERLINED),
                Role::Bad => plain.add_modifier(Modifier::BOLD | Modifier::UNDERLINED),
                Role::Selected => plain.add_modifier(Modifier::REVERSED),
            },
        }
    }
}

/// The signs that are drawn; one set needs nothing but ASCII.
#[derive(Debug, PartialEq, Eq)]
pub struct Glyphs {
    /// Levels of a spark, lowest first; the first one is "nothing".
    pub levels: [&'static str; 9],
    /// Full and empty part of a bar.
    pub bar: [&'static str; 2],
    /// Frames.
    pub frame: border::Set<'static>,
    /// What was cut off.
    pub cut: &'static str,
    /// From one stage of the funnel to the next.
    pub arrow: &'static str,
    /// Good, warning, bad, unknown.
    pub good: &'static str,
    /// Look at it.
    pub warn: &'static str,
    /// Wrong.
    pub bad: &'static str,
    /// Not known.
    pub unknown: &'static str,
    /// Between figures.
    pub dot: &'static str,
    /// Replay goes on, stands, is frozen.
    pub play: &'static str,
    /// It stands.
    pub pause: &'static str,
    /// Place on a slider.
    pub knob: &'static str,
    /// Rises, falls, stays.
    pub rises: &'static str,
    /// It falls.
    pub falls: &'static str,
    /// It stays.
    pub flat: &'static str,
}

/// Box drawing and block elements.
pub const UNICODE: Glyphs = Glyphs {
    levels: [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"],
    bar: ["█", "░"],
    frame: border::PLAIN,
    cut: "…",
    arrow: "→",
    good: "✓",
    warn: "▲",
    bad: "✗",
    unknown: "?",
    dot: "·",
    play: "▶",
    pause: "‖",
    knob: "●",
    rises: "↗",
    falls: "↘",
    flat: "→",
};

/// For terminals that can draw nothing else.
pub const ASCII: Glyphs = Glyphs {
    levels: [" ", "_", ".", "-", "=", "+", "*", "%", "#"],
    bar: ["#", "."],
    frame: border::Set {
        top_left: "+",
        top_right: "+",
        bottom_left: "+",
        bottom_right: "+",
        vertical_left: "|",
        vertical_right: "|",
        horizontal_top: "-",
        horizontal_bottom: "-",
    },
    cut: "~",
    arrow: "->",
    good: "+",
    warn: "!",
    bad: "x",
    unknown: "?",
    dot: "|",
    play: ">",
    pause: "=",
    knob: "O",
    rises: "/",
    falls: "\\",
    flat: "-",
};

/// How the dashboard looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Look {
    /// Colours.
    pub theme: Theme,
    /// ASCII only.
    pub ascii: bool,
}

impl Look {
    /// What the terminal's environment asks for; `get` reads a variable.
    pub fn from_env(get: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &str| get(name).is_some_and(|v| !v.is_empty());
        let theme =
            if set("NO_COLOR") || get("TERM").as_deref() == Some("dumb") { Theme::None } else { Theme::Default };
        // The first one that is set decides, as in the C library.
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(|name| get(name).filter(|v| !v.is_empty()));
        let utf8 = locale.is_some_and(|l| l.to_ascii_lowercase().replace('-', "").contains("utf8"));
        Self { theme, ascii: !utf8 }
    }

    /// Its glyphs.
    pub fn glyphs(self) -> &'static Glyphs {
        if self.ascii { &ASCII } else { &UNICODE }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_decides_on_colours_and_glyphs() {
        let look = |vars: &[(&str, &str)]| {
            Look::from_env(|name| vars.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned()))
        };
        assert_eq!(look(&[("LANG", "ko_KR.UTF-8")]), Look { theme: Theme::Default, ascii: false });
        assert_eq!(look(&[("LANG", "C.utf8"), ("LC_ALL", "C")]), Look { theme: Theme::Default, ascii: true });
        assert_eq!(look(&[("NO_COLOR", "1"), ("LC_CTYPE", "C.UTF-8")]), Look { theme: Theme::None, ascii: false });
        assert_eq!(look(&[("NO_COLOR", "")]).theme, Theme::Default, "empty is unset, as no-color.org has it");
    }

    #[test]
    fn no_colour_means_none() {
        use Role::*;
        for role in
            [Text, Dim, Title, Good, Warn, Bad, Accent, First, Second, Third, Selected, Found, Frame, FrameFocused]
        {
            let style = Theme::None.style(role);
            assert_eq!((style.fg, style.bg), (None, None), "{role:?}");
        }
    }

    #[test]
    fn good_warning_and_bad_differ_in_every_theme() {
        for theme in Theme::ALL {
            let styles = [Role::Good, Role::Warn, Role::Bad].map(|role| theme.style(role));
            assert!(styles[0] != styles[1] && styles[1] != styles[2] && styles[0] != styles[2], "{}", theme.name());
        }
    }

    #[test]
    fn the_ascii_set_is_ascii() {
        assert!(format!("{ASCII:?}").is_ascii());
    }
}
