//! A private `mysqld` or `mariadbd`.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Instant,
};

use super::{HOST, MYSQL_USER, Native, Server, make_folder};
use crate::{
    conf::Source,
    error::{InfraError, StartFailure},
    logs,
    process::{self, Spawn, run_to_end},
    state::StateDir,
};

/// How the data folder is made.
#[derive(Debug, Clone)]
pub(super) struct Init {
    program: PathBuf,
    /// MariaDB's script, or MySQL's `--initialize-insecure`.
    mariadb_script: Option<PathBuf>,
    /// SQL that is run at each start, before anybody may log in.
    sql: (PathBuf, String),
}

impl Native {
    /// MySQL, ready to be started.
    pub fn mysql(&self) -> Result<Server, InfraError> {
        let program = self.env.mysqld()?;
        let mariadb_script = if is_mariadb(&program) { Some(self.env.mariadb_install_db()?) } else { None };
        let conf = self.conf("my.cnf");
        let data = self.data().join("mysql");
        let sockets = self.state.run_folder()?;
        let init_file = self.conf("mysql-init.sql");
        let base = Source::Mysql.load()?;
        let text = |path: &Path| path.display().to_string();
        let mut extra = vec![
            ("port", self.places.mysql.port.to_string()),
            ("bind_address", HOST.into()),
            ("datadir", text(&data)),
            ("socket", text(&sockets.join("mysql.sock"))),
            ("pid_file", text(&sockets.join("mysql.pid"))),
            ("init_file", text(&init_file)),
            // MySQL's built-in folder need not exist here.
            ("secure_file_priv", text(&sockets)),
        ];
        if nix::unistd::geteuid().is_root() {
            extra.push(("user", "root".into()));
        }
        if let Some(pool) = buffer_pool(total_memory()) {
            extra.push(("innodb_buffer_pool_size", pool.into()));
        }
        let conf_text = Source::Mysql.render(&base, &extra)?;
        let spawn = self.spawn(program.clone(), "mysql", &self.data());
        let spawn = spawn.arg(format!("--defaults-file={}", conf.display()));
        let sql = (init_file, init_sql(self.places.mysql.password.expose(), &self.mysql_endpoint().database));
        let init = super::Init::Mysql(Init { program, mariadb_script, sql });
        Ok(Server { name: "mysql".into(), ports: vec![self.places.mysql.port], data, conf, conf_text, spawn, init })
    }
}

impl Init {
    /// Makes the data in a folder of another name and renames it at the end: a killed `up` leaves nothing half-made.
    pub(super) async fn run(&self, state: &StateDir, server: &Server) -> Result<(), InfraError> {
        state.write(&self.sql.0, self.sql.1.as_bytes())?;
        if server.data.exists() {
            return Ok(());
        }
        let fresh = server.data.with_extension("new");
        if fresh.exists() {
            fs::remove_dir_all(&fresh).map_err(InfraError::io("remove", &fresh))?;
        }
        make_folder(&fresh)?;
        let started = Instant::now();
        let status = run_to_end(&self.command(server, &fresh)).await.map_err(InfraError::io("run", &self.program))?;
        if !status.success() {
            return Err(StartFailure {
                component: server.name.clone(),
                cause: "its data folder could not be made".into(),
                status: Some(process::describe(status)),
                waited: started.elapsed(),
                log: server.spawn.log.clone(),
                tail: cause(&logs::tail(&server.spawn.log, 200).unwrap_or_default()),
            }
            .into());
        }
        fs::rename(&fresh, &server.data).map_err(InfraError::io("rename", fresh))
    }

    fn command(&self, server: &Server, fresh: &Path) -> Spawn {
        let data = format!("--datadir={}", fresh.display());
        let defaults = format!("--defaults-file={}", server.conf.display());
        let mut spawn = server.spawn.clone();
        spawn.args.clear();
        if let Some(script) = &self.mariadb_script {
            spawn.program.clone_from(script);
            // Root logs in through the socket only, until the init file has given it a password.
            return spawn.args([&defaults, &data]).args(["--skip-test-db", "--skip-name-resolve"]);
        }
        // The server's own init file names tables that do not exist yet.
        spawn.args([&defaults, &data]).args(["--initialize-insecure", "--init-file="])
    }
}

/// The last 20 lines before MariaDB's script begins to give advice: there the server said why.
fn cause(lines: &[String]) -> Vec<String> {
    let told = lines.iter().position(|line| line.starts_with("Installation of system tables failed"));
    let lines = &lines[..told.filter(|at| *at > 0).unwrap_or(lines.len())];
    lines[lines.len().saturating_sub(20)..].to_vec()
}

/// One statement a line: that is how `init_file` is read.
fn init_sql(password: &str, database: &str) -> String {
    let user = format!("'{MYSQL_USER}'@'{HOST}'");
    format!(
        "CREATE DATABASE IF NOT EXISTS `{database}` CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci;\n\
         CREATE USER IF NOT EXISTS {user} IDENTIFIED BY '{password}';\n\
         ALTER USER {user} IDENTIFIED BY '{password}';\n\
         GRANT ALL PRIVILEGES ON *.* TO {user} WITH GRANT OPTION;\n\
         ALTER USER 'root'@'localhost' IDENTIFIED BY '{password}';\n"
    )
}

/// `mysqld` is a link to MariaDB on many systems; only the program itself knows.
fn is_mariadb(program: &Path) -> bool {
    let output = process::helper(program).arg("--no-defaults").arg("--version").output();
    output.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains("MariaDB"))
}

/// A smaller buffer pool where the machine has less than 4 GiB; none where the settings may stand.
fn buffer_pool(memory: u64) -> Option<&'static str> {
    (memory < 4 << 30).then_some("128M")
}

fn total_memory() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let kib =
        text.lines().find_map(|line| line.strip_prefix("MemTotal:")?.split_whitespace().next()?.parse::<u64>().ok());
    kib.map_or(u64::MAX, |kib| kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_init_file_has_one_statement_a_line() {
        for line in init_sql("pw", "ecom_db").lines() {
            assert!(line.ends_with(';') && line.matches(';').count() == 1, "{line}");
        }
    }

    /// Thirty lines of advice hid that a folder could not be written.
    #[test]
    fn the_cause_is_shown_and_not_the_advice_behind_it() {
        let lines = |all: &[&str]| all.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
        let said = lines(&[
            "Installing",
            "[ERROR] Can't create file",
            "Installation of system tables failed!  Examine",
            "advice",
        ]);
        assert_eq!(cause(&said), lines(&["Installing", "[ERROR] Can't create file"]));
        assert_eq!(cause(&lines(&["a", "b"])), lines(&["a", "b"]));
    }

    #[test]
    fn small_machines_get_a_small_pool() {
        assert_eq!(buffer_pool(2 << 30), Some("128M"));
        assert_eq!(buffer_pool(8 << 30), None);
    }
}
