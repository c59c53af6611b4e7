//! A private `redis-server` or `valkey-server`.

use super::{HOST, Init, Native, Server};
use crate::{conf::Source, error::InfraError};

impl Native {
    /// Redis, ready to be started.
    pub fn redis(&self) -> Result<Server, InfraError> {
        let program = self.env.redis_server()?;
        let data = self.data().join("redis");
        let conf = self.conf("redis.conf");
        let extra = [
            ("bind", HOST.into()),
            ("port", self.places.redis.port.to_string()),
            ("dir", data.display().to_string()),
            ("requirepass", self.places.redis.password.expose().to_owned()),
            ("daemonize", "no".into()),
            // A title of its own would overwrite the mark by which a forgotten process is found again.
            ("set-proc-title", "no".into()),
        ];
        let conf_text = Source::Redis.render(&Source::Redis.load()?, &extra)?;
        let is_checker = program.file_name().is_some_and(|name| name.to_string_lossy().contains("check-rdb"));
        let mut spawn = self.spawn(program, "redis", &self.data()).arg(&conf);
        // The checking tool is the server itself; it looks at the name it was called by.
        spawn.arg0 = is_checker.then(|| "redis-server".into());
        let ports = vec![self.places.redis.port];
        Ok(Server { name: "redis".into(), ports, data, conf, conf_text, spawn, init: Init::Nothing })
    }
}
