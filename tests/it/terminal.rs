//! A real terminal for tests: a tmux server of its own, with one shell in it.

use std::{
    process::Command,
    time::{Duration, Instant},
};

/// A terminal. Dropped, its server and what runs in it end.
pub struct Terminal {
    socket: String,
}

impl Terminal {
    /// A shell in `folder`, on a terminal of this size.
    pub fn open(name: &str, folder: &std::path::Path, (width, height): (u16, u16)) -> Self {
        let terminal = Self { socket: folder.join(format!("{name}.tmux")).to_string_lossy().into_owned() };
        let size = [width.to_string(), height.to_string()];
        let folder = folder.to_string_lossy().into_owned();
        // `-f /dev/null`: nobody's own settings. The shell has no prompt that could be taken for output.
        terminal.tmux(&[
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            &size[0],
            "-y",
            &size[1],
            "-c",
            &folder,
            "env",
            "PS1=ready> ",
            "LC_ALL=C.UTF-8",
            "sh",
        ]);
        terminal.wait_for("the shell", Duration::from_secs(10), |screen| screen.contains("ready>"));
        terminal
    }

    fn tmux(&self, args: &[&str]) -> String {
        let output = Command::new("tmux")
            .args(["-S", &self.socket])
            .args(args)
            .output()
            .expect("these tests drive the dashboard in tmux, which is not installed: apt-get install tmux");
        assert!(output.status.success(), "tmux {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// What stands on the screen.
    pub fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// Types a line and ends it.
    pub fn line(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
        self.tmux(&["send-keys", "Enter"]);
    }

    /// Presses keys by the names of the dashboard's table.
    pub fn press(&self, names: &[&str]) {
        for name in names {
            let special = match *name {
                "Esc" => "Escape",
                "PgUp" => "PPage",
                "PgDn" => "NPage",
                "Shift-Tab" => "BTab",
                "Backspace" => "BSpace",
                "Space" => "Space",
                other => other,
            };
            let special = special.strip_prefix("Ctrl-").map_or_else(|| special.to_owned(), |key| format!("C-{key}"));
            if name.chars().count() == 1 {
                self.tmux(&["send-keys", "-l", "--", name]);
            } else {
                self.tmux(&["send-keys", &special]);
            }
            // An Esc and what follows it at once would be one key.
            if *name == "Esc" {
                std::thread::sleep(Duration::from_millis(100));
            }
        }
    }

    /// Changes its size.
    pub fn resize(&self, width: u16, height: u16) {
        self.tmux(&["resize-window", "-x", &width.to_string(), "-y", &height.to_string()]);
    }

    /// Changes its size and presses a key at the same moment.
    pub fn resize_and_press(&self, (width, height): (u16, u16), key: &str) {
        let size = [width.to_string(), height.to_string()];
        self.tmux(&["resize-window", "-x", &size[0], "-y", &size[1], ";", "send-keys", key]);
    }

    /// Is another screen than the shell's shown, and is the cursor?
    pub fn modes(&self) -> (bool, bool) {
        let flags = self.tmux(&["display-message", "-p", "#{alternate_on} #{cursor_flag}"]);
        let mut flags = flags.split_whitespace().map(|flag| flag == "1");
        (flags.next().unwrap_or(false), flags.next().unwrap_or(false))
    }

    /// Pid of what the shell runs.
    pub fn pid_of(&self, program: &str) -> i32 {
        let shell = self.tmux(&["display-message", "-p", "#{pane_pid}"]);
        let children =
            std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", shell.trim())).unwrap_or_default();
        let named =
            |pid: &&str| std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == program);
        children.split_whitespace().find(named).and_then(|pid| pid.parse().ok()).expect("it runs in the shell")
    }

    /// Waits until the screen is as it should be, and gives it.
    pub fn wait_for(&self, what: &str, within: Duration, right: impl Fn(&str) -> bool) -> String {
        let since = Instant::now();
        loop {
            let screen = self.screen();
            if right(&screen) {
                return screen;
            }
            assert!(since.elapsed() < within, "{what}: not within {within:?}; the screen has\n{screen}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// The terminal is as the shell left it: its own screen, a cursor, lines and echo.
    pub fn is_restored(&self) {
        self.wait_for("the shell again", Duration::from_secs(10), |screen| screen.trim_end().ends_with("ready>"));
        assert_eq!(self.modes(), (false, true), "alternate screen, cursor");
        self.line("stty -a");
        let screen = self.wait_for("stty", Duration::from_secs(10), |screen| screen.contains("icanon"));
        for off in ["-icanon", "-echo ", "-isig", "-opost", "-icrnl"] {
            assert!(!screen.contains(off), "{off} is left\n{screen}");
        }
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = Command::new("tmux").args(["-S", &self.socket, "kill-server"]).output();
    }
}
