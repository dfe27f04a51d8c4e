//! The demo: a small shop of real servers with steady traffic, one client that is denied and one that misspells names.
//!
//! ```text
//! shopper ─► web (nginx) ─► api ─► cache (Redis)
//!                             └──► db (PostgreSQL) ◄─✗─ intruder (nftables drops it)
//! everyone ─► dns (dnsmasq) ◄── typo (asks for names that do not exist)
//! ```

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::topology::{Host, Running, Topology, output, run, wait_until};

/// Prefix of everything the demo makes.
pub const PREFIX: &str = "shop";
/// The demo lives in `10.88.0.0/24` and `fd00:88::/64`.
const SUBNET: u8 = 88;
/// A server that is not up after this long will not come up.
const START_DEADLINE: Duration = Duration::from_secs(30);
/// Where Debian keeps the server binary, which is not on the path.
const POSTGRES_DIRS: &str = "/usr/lib/postgresql";

/// A running shop; stops and removes everything when dropped.
pub struct Shop {
    // Order matters: clients stop before servers, servers before the namespaces.
    clients: Vec<Running>,
    servers: Vec<Running>,
    _topology: Topology,
    folder: PathBuf,
}

impl Shop {
    /// Makes the namespaces and starts every server and client; returns once the first page was served.
    ///
    /// # Errors
    /// Not root, or a server is not installed or did not come up; the text names it.
    pub fn open() -> Result<Self> {
        let postgres = find_postgres()?;
        let folder = std::env::temp_dir().join("weir-demo");
        drop(fs::remove_dir_all(&folder));
        fs::create_dir_all(&folder)?;
        let mut topology = Topology::new(PREFIX, SUBNET)?;
        let mut hosts = Vec::new();
        for (name, number) in [
            ("dns", 53),
            ("web", 10),
            ("api", 11),
            ("cache", 12),
            ("db", 13),
            ("shopper", 20),
            ("intruder", 66),
            ("typo", 67),
        ] {
            hosts.push(topology.add(name, number)?);
        }
        let resolver = hosts[0].ip4;
        for host in &mut hosts {
            host.set_resolver(resolver, "shop")?;
        }
        let mut shop = Self { clients: Vec::new(), servers: Vec::new(), _topology: topology, folder };
        shop.start_servers(&hosts, &postgres)?;
        shop.start_clients(&hosts)?;
        Ok(shop)
    }

    /// Name of the first process that ended by itself, if any did.
    pub fn ended(&mut self) -> Option<String> {
        self.servers.iter_mut().chain(&mut self.clients).find_map(|p| p.has_ended().then(|| p.name.clone()))
    }

    fn start_servers(&mut self, hosts: &[Host], postgres: &Path) -> Result<()> {
        let host = |name: &str| find(hosts, name);
        let dns = host("dns")?;
        let mut command = dns.command("dnsmasq");
        command.args([
            "--keep-in-foreground",
            "--no-hosts",
            "--no-resolv",
            "--user=root",
            "--log-facility=-",
            "--pid-file=",
        ]);
        command.args(["--local=/shop/", "--no-daemon", "--quiet-dhcp", "--address=/paypal.example/203.0.113.7"]);
        for h in hosts {
            command.arg(format!("--host-record={}.shop,{},{}", h.name, h.ip4, h.ip6));
        }
        self.server("dnsmasq", &mut command)?;

        let cache = host("cache")?;
        let mut command = cache.command("redis-server");
        command.args(["--bind", &cache.ip4.to_string(), &cache.ip6.to_string(), "--save", "", "--appendonly", "no"]);
        command.args(["--protected-mode", "no", "--dir"]).arg(&self.folder);
        self.server("redis", &mut command)?;

        let db = host("db")?;
        self.start_postgres(db, postgres)?;
        deny_intruder(db, hosts)?;

        let api = host("api")?;
        wait_for_port(api, db, 5432)?;
        wait_for_port(api, cache, 6379)?;
        let mut command = api.command(self.named("api")?);
        command.args(["api", "--listen", "[::]:8080", "--redis", "redis://cache.shop:6379/"]);
        command.args(["--postgres", "host=db.shop user=postgres dbname=postgres"]);
        self.server("api", &mut command)?;

        let web = host("web")?;
        wait_for_port(web, api, 8080)?;
        let conf = self.folder.join("nginx.conf");
        fs::write(&conf, nginx_conf(&self.folder, dns))?;
        let mut command = web.command("nginx");
        command.arg("-c").arg(&conf);
        self.server("nginx", &mut command)
    }

    fn start_postgres(&mut self, db: &Host, postgres: &Path) -> Result<()> {
        let data = self.folder.join("postgres");
        fs::create_dir_all(&data)?;
        run("chown", ["-R".as_ref(), "postgres".as_ref(), data.as_os_str()])?;
        let mut initdb = db.command_as(postgres.join("initdb"), Some("postgres"));
        output(initdb.args(["--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C", "-D"]).arg(&data))
            .context("cannot prepare PostgreSQL's data folder")?;
        fs::write(data.join("pg_hba.conf"), "local all all trust\nhost all all all trust\n")?;
        let mut command = db.command_as(postgres.join("postgres"), Some("postgres"));
        command.arg("-D").arg(&data).args(["-c", "listen_addresses=*", "-c", "fsync=off", "-k"]).arg(&data);
        self.server("postgres", &mut command)
    }

    fn start_clients(&mut self, hosts: &[Host]) -> Result<()> {
        wait_for_port(find(hosts, "shopper")?, find(hosts, "web")?, 80)?;
        for (name, args) in [
            ("shopper", ["client", "shopper", "http://web.shop"]),
            ("intruder", ["client", "intruder", "db.shop:5432"]),
            ("typo", ["client", "typo", "paymnts.shop"]),
        ] {
            let mut command = find(hosts, name)?.command(self.named(name)?);
            self.clients.push(Running::start(name, command.args(args))?);
        }
        Ok(())
    }

    fn server(&mut self, name: &str, command: &mut std::process::Command) -> Result<()> {
        let log = fs::File::create(self.folder.join(format!("{name}.log")))?;
        command.stdout(log.try_clone()?).stderr(log);
        self.servers.push(Running::start(name, command)?);
        Ok(())
    }

    /// This program under another name, because the kernel names a process after the file it was started from.
    fn named(&self, name: &str) -> Result<PathBuf> {
        let link = self.folder.join(name);
        symlink(std::env::current_exe()?, &link).with_context(|| format!("cannot make {}", link.display()))?;
        Ok(link)
    }
}

impl Drop for Shop {
    fn drop(&mut self) {
        self.clients.clear();
        self.servers.clear();
        drop(fs::remove_dir_all(&self.folder));
    }
}

fn find<'a>(hosts: &'a [Host], name: &str) -> Result<&'a Host> {
    hosts.iter().find(|h| h.name == name).with_context(|| format!("the shop has no host {name}"))
}

/// Lets the API and replies in, drops everybody else who wants the database.
fn deny_intruder(db: &Host, hosts: &[Host]) -> Result<()> {
    let api = find(hosts, "api")?;
    db.nft(&format!(
        "table inet shop {{
  chain input {{
    type filter hook input priority 0; policy accept;
    ip saddr {} tcp dport 5432 accept
    ip6 saddr {} tcp dport 5432 accept
    tcp dport 5432 drop
  }}
}}
",
        api.ip4, api.ip6
    ))
}

fn wait_for_port(from: &Host, to: &Host, port: u16) -> Result<()> {
    wait_until(&format!("{} answers on port {port}", to.name), START_DEADLINE, || {
        let mut probe = from.command("bash");
        probe.args(["-c", &format!("exec 3<>/dev/tcp/{}/{port}", to.ip4)]);
        output(&mut probe).ok()
    })
    .with_context(|| {
        format!("{} did not come up; its log is in {}", to.name, std::env::temp_dir().join("weir-demo").display())
    })
    .map(|_| ())
}

fn find_postgres() -> Result<PathBuf> {
    let mut versions: Vec<PathBuf> =
        fs::read_dir(POSTGRES_DIRS).into_iter().flatten().flatten().map(|e| e.path().join("bin")).collect();
    versions.sort();
    match versions.pop().filter(|dir| dir.join("initdb").exists()) {
        Some(dir) => Ok(dir),
        None => bail!("PostgreSQL's server is not installed below {POSTGRES_DIRS}: run `./dev setup demo`"),
    }
}

fn nginx_conf(folder: &Path, dns: &Host) -> String {
    let folder = folder.display();
    format!(
        "daemon off; master_process off; pid {folder}/nginx.pid; error_log stderr;
events {{ worker_connections 256; }}
http {{
  access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  resolver {dns} valid=5s ipv6=off;
  server {{
    listen 80; listen [::]:80;
    location / {{ default_type text/html; return 200 '<h1>shop</h1>'; }}
    location /api/ {{ set $api api.shop; proxy_pass http://$api:8080; proxy_http_version 1.1; proxy_set_header Connection ''; }}
  }}
}}
",
        dns = dns.ip4
    )
}
