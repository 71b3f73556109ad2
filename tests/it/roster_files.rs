//! Spreadsheets as property managers meet them: by command line, with the gateway stopped and running,
//! and by HTTP.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use serde_json::Value;

use crate::harness::gateway::{Gateway, run};
use crate::harness::http::{self, Answer};
use crate::harness::net::free_port;
use crate::harness::wait::eventually_ok;
use crate::harness::{in_package, temp_dir};

/// A compound with the stairwells `wells` (id, building, unit), no doors and no cameras.
fn configure(folder: &Path, web: &str, wells: &[(String, usize, usize)]) -> String {
    let file = folder.join("gateway.toml");
    let mut text = format!(
        "[compound]\nid = \"a\"\nname = \"A\"\ntime_zone = \"Asia/Shanghai\"\n\
         [store]\npath = \"store\"\n[footage]\npath = \"footage\"\nfree_space_floor = \"1%\"\n\
         [web]\nlisten = \"{web}\"\n[mqtt]\nlisten = \"127.0.0.1:0\"\n"
    );
    for (id, building, unit) in wells {
        text += &format!(
            "[[stairwell]]\nid = \"{id}\"\nbuilding = \"{building}\"\nunit = \"{unit}\"\n"
        );
    }
    fs::write(&file, text).unwrap();
    file.to_str().unwrap().to_owned()
}

fn two_wells() -> Vec<(String, usize, usize)> {
    vec![("b03-u2".to_owned(), 3, 2), ("b12-u1".to_owned(), 12, 1)]
}

/// 42 buildings, 93 stairwells.
fn many_wells() -> Vec<(String, usize, usize)> {
    let walls = (0..93).map(|n| (n % 42 + 1, n / 42 + 1));
    walls
        .map(|(building, unit)| (format!("b{building:02}-u{unit}"), building, unit))
        .collect()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

#[track_caller]
fn ended(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{output:?}");
    text(&output.stdout)
}

struct Desk {
    folder: tempfile::TempDir,
    config: String,
}

impl Desk {
    fn new(web: &str, wells: &[(String, usize, usize)]) -> Desk {
        let folder = temp_dir();
        let config = configure(folder.path(), web, wells);
        Desk { folder, config }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        fs::write(&path, content).unwrap();
        path
    }

    async fn run(&self, args: &[&str]) -> Output {
        run(&[args, &["--config", &self.config, "--lang", "en"]].concat()).await
    }

    async fn token(&self, name: &str, role: &str) -> PathBuf {
        let args = [
            "user",
            "token",
            name,
            "--role",
            role,
            "--config",
            &self.config,
        ];
        let token = ended(&run(&args).await, 0);
        PathBuf::from(self.write(&format!("{name}.token"), token))
    }
}

#[tokio::test]
async fn a_dirty_workbook_is_tried_corrected_by_skipping_and_taken_once() {
    let desk = Desk::new("127.0.0.1:0", &two_wells());
    let dirty = in_package("fixtures/roster/dirty.xlsx");
    let dirty = dirty.to_str().unwrap();

    let tried = desk.run(&["import", dirty, "--dry-run"]).await;
    let shown = ended(&tried, 1)
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ");
    for part in [
        "一区名册!5 put-dwelling b03-u2-301 place b03-u2, number 301, area_m2 94.30, tenure rented",
        "refused 一区名册!9 E area_m2: is a formula without a value",
        "refused 一区名册!12 I card: was kept as a number of 9 digits where cards have 10",
        "note 旧名册: is hidden and was not read",
        "would be refused as a whole; without the refused rows: ",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let nothing = desk.run(&["export", &desk.path("nothing.csv")]).await;
    ended(&nothing, 0);
    assert_eq!(
        fs::read_to_string(desk.path("nothing.csv"))
            .unwrap()
            .lines()
            .count(),
        1
    );

    let taken = desk
        .run(&["import", dirty, "--skip-refused", "--why", "first list"])
        .await;
    assert!(ended(&taken, 0).contains("done: "), "{taken:?}");
    let again = desk.run(&["import", dirty, "--skip-refused"]).await;
    assert!(ended(&again, 0).contains("done: no changes"), "{again:?}");

    let roster = desk.path("roster.xlsx");
    ended(&desk.run(&["export", &roster]).await, 0);
    let back = desk.run(&["import", &roster, "--end-missing"]).await;
    assert!(
        ended(&back, 0).contains("0 refused; done: no changes"),
        "{back:?}"
    );
    let chinese = run(&[
        "import",
        dirty,
        "--dry-run",
        "--lang",
        "zh",
        "--config",
        &desk.config,
    ])
    .await;
    assert!(
        ended(&chinese, 1).contains("公式没有保存结果"),
        "{chinese:?}"
    );
    let stored = walk(&desk.folder.path().join("store"));
    for secret in ["住户甲", "Person Two", "04A1B2C3D4"] {
        let has = |file: &Vec<u8>| {
            file.windows(secret.len())
                .any(|part| part == secret.as_bytes())
        };
        assert!(!stored.iter().any(has), "{secret} stands in the store");
    }
}

fn walk(folder: &Path) -> Vec<Vec<u8>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(walk(&path));
        } else {
            files.push(fs::read(path).unwrap());
        }
    }
    files
}

/// 1,500 dwellings over 93 stairwells of 42 buildings, 2,000 cards, synthetic people.
fn site_rows() -> String {
    let wells = many_wells();
    let mut rows = "幢号,单元,房号,建筑面积,租住类型,姓名,关系,卡号,状态,有效期至\n".to_owned();
    let mut n_cards = 0;
    for n in 0..1_500_usize {
        let (_, building, unit) = &wells[n % wells.len()];
        let number = format!("{}0{}", n / wells.len() / 4 + 1, n / wells.len() % 4 + 1);
        let area = format!("{}.{:02}", 60 + n % 100, n % 97);
        let tenure = ["出租", "自住"][n % 2];
        for holder in 0..=usize::from(n % 3 == 0) {
            n_cards += 1;
            let state = ["", "有效", "挂失"][(n + holder) % 3];
            let until = ["", "2027年6月30日"][n % 2];
            rows += &format!(
                "{building},{unit},{number},{area},{tenure},住户{n}之{holder},租客,{n_cards:010X},{state},{until}\n"
            );
        }
    }
    rows
}

#[tokio::test]
async fn a_whole_site_exported_is_the_same_site_elsewhere() {
    let (first, second) = (
        Desk::new("127.0.0.1:0", &many_wells()),
        Desk::new("127.0.0.1:0", &many_wells()),
    );
    let rows = first.write("site.csv", site_rows());
    let taken = ended(&first.run(&["import", &rows]).await, 0);
    let counts = "2000 add-holder, 2000 issue-card, 1500 put-dwelling";
    assert!(
        taken.contains(&format!("2000 rows, 0 refused; done: {counts}")),
        "{taken}"
    );
    let roster = first.path("roster.xlsx");
    ended(&first.run(&["export", &roster]).await, 0);
    let moved = ended(&second.run(&["import", &roster]).await, 0);
    assert!(moved.contains(counts), "{moved}");
    let back = second.path("back.csv");
    ended(&second.run(&["export", &back]).await, 0);
    assert_eq!(fs::read_to_string(&back).unwrap().lines().count(), 2_001);
    let same = ended(&first.run(&["import", &back, "--end-missing"]).await, 0);
    assert!(
        same.contains("2000 rows, 0 refused; done: no changes"),
        "{same}"
    );
    let verified = run(&["verify-store", "--config", &second.config]).await;
    ended(&verified, 0);
}

const HEADING: &str = "dwelling,place,number,area_m2,tenure,holder,name,card\n";

/// Three people in 36 m², and a fourth.
fn full() -> String {
    let people = (1..=4).map(|n| format!("d1,b03-u2,301,36,rented,h{n},Test Person {n},0A0{n}\n"));
    format!(
        "{HEADING}{}d2,b03-u2,302,50,rented,,,\n",
        people.collect::<String>()
    )
}

struct Running {
    desk: Desk,
    gateway: Gateway,
    clerk: PathBuf,
}

impl Running {
    async fn start() -> Running {
        let web = format!("127.0.0.1:{}", free_port());
        let desk = Desk::new(&web, &two_wells());
        let clerk = desk.token("clerk", "property-manager").await;
        let mut gateway = Gateway::start(Path::new(&desk.config), &web).await;
        gateway.expect("configuration problem");
        Running {
            desk,
            gateway,
            clerk,
        }
    }

    async fn ask(
        &self,
        method: reqwest::Method,
        path: &str,
        token: Option<&Path>,
        body: &[u8],
    ) -> Answer {
        let url = self.gateway.url(&format!("/api/v1/roster/{path}"));
        let mut request = http::client().request(method, url).body(body.to_vec());
        if let Some(token) = token {
            request = request.bearer_auth(fs::read_to_string(token).unwrap().trim());
        }
        http::send(request).await.unwrap()
    }

    async fn import(&self, query: &str, body: &str) -> (u16, Value) {
        let path = format!("import{query}");
        let answer = self
            .ask(
                reqwest::Method::POST,
                &path,
                Some(&self.clerk),
                body.as_bytes(),
            )
            .await;
        (answer.status, answer.json())
    }

    async fn get(&self, path: &str, token: Option<&Path>) -> Answer {
        self.ask(reqwest::Method::GET, path, token, b"").await
    }
}

#[tokio::test]
async fn who_is_beyond_the_limit_is_a_refused_row_with_the_reckoning() {
    let running = Running::start().await;
    let (status, report) = running.import("", &full()).await;
    assert_eq!(status, 422, "{report}");
    assert_eq!(
        (&report["applied"], &report["refused_rows"]),
        (&Value::Bool(false), &1.into())
    );
    let refused = &report["refused"][0];
    assert_eq!(
        (&refused["row"], &refused["reason"]),
        (&5.into(), &"cardholder-limit-reached".into())
    );
    let why = refused["en"].as_str().unwrap();
    assert!(
        why.contains("3 of 3 cardholders") && why.contains("36.00 m² at 12.00 m² a person"),
        "{why}"
    );
    assert!(why.contains("counted: h1, h2, h3"), "{why}");
    assert!(
        refused["zh"].as_str().unwrap().contains("限额 3 人"),
        "{refused}"
    );
    let empty = running.get("export?format=csv", Some(&running.clerk)).await;
    assert_eq!(empty.text().lines().count(), 1, "nothing was kept");

    let (status, report) = running
        .import("?dry_run=true&mode=skip-refused", &full())
        .await;
    assert_eq!((status, &report["applied"]), (200, &Value::Bool(false)));
    assert_eq!(report["counts"]["issue-card"], 3);
    let (status, report) = running.import("?mode=skip-refused&why=list", &full()).await;
    assert_eq!(
        (status, &report["applied"]),
        (200, &Value::Bool(true)),
        "{report}"
    );
    let (_, report) = running.import("?mode=skip-refused", &full()).await;
    assert_eq!(
        report["counts"],
        serde_json::json!({}),
        "the same file changes nothing"
    );
    let (status, problem) = running.import("?beyond_limit=admit", &full()).await;
    assert_eq!((status, &problem["type"]), (403, &"forbidden".into()));
    let (status, problem) = running.import("", "no roster\n").await;
    assert_eq!((status, &problem["type"]), (422, &"no-headings".into()));
    assert!(problem["detail_zh"].is_string());
    running.gateway.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn names_leave_only_to_who_may_see_them_and_the_log_says_to_whom() {
    let running = Running::start().await;
    let auditor = running.desk.token("lin", "auditor").await;
    let (status, _) = running.import("?mode=skip-refused", &full()).await;
    assert_eq!(status, 200);
    for (path, token, status) in [
        ("export", None, 401),
        ("export", Some(auditor.as_path()), 403),
        ("report.xlsx", None, 401),
        ("report.xlsx", Some(auditor.as_path()), 200),
        ("template.xlsx", None, 401),
        ("template.xlsx", Some(auditor.as_path()), 200),
    ] {
        eventually_ok("the token is known", Duration::from_secs(5), || async {
            let answer = running.get(path, token).await;
            if answer.status == status {
                Ok(())
            } else {
                Err(answer.status)
            }
        })
        .await;
    }
    let export = running.get("export?lang=zh", Some(&running.clerk)).await;
    assert_eq!(export.status, 200);
    let sheet = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
    assert_eq!(export.header("content-type"), sheet);
    assert_eq!(
        export.header("content-disposition"),
        "attachment; filename=\"roster.xlsx\""
    );
    let log = running.gateway.log();
    assert!(
        log.contains("roster exported") && log.contains("by=clerk"),
        "{log}"
    );
    for secret in ["Test Person", "0A01"] {
        assert!(!log.contains(secret), "{secret} stands in the log");
    }
    running.gateway.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn the_command_line_asks_a_running_gateway_or_says_how() {
    let running = Running::start().await;
    let desk = &running.desk;
    let file = desk.write("list.csv", full());
    let locked = desk.run(&["import", &file]).await;
    ended(&locked, 1);
    let says = text(&locked.stderr);
    assert!(
        says.contains("the gateway is running") && says.contains("--token-file"),
        "{says}"
    );

    let token = running.clerk.to_str().unwrap();
    let refused = desk.run(&["import", &file, "--token-file", token]).await;
    assert!(
        ended(&refused, 1).contains("line 5 holder: dwelling d1 has 3 of 3"),
        "{refused:?}"
    );
    let taken = desk
        .run(&["import", &file, "--skip-refused", "--token-file", token])
        .await;
    let counts = "5 rows, 1 refused; done: 3 add-holder, 3 issue-card, 2 put-dwelling";
    assert!(ended(&taken, 0).contains(counts), "{taken:?}");
    let roster = desk.path("roster.csv");
    ended(
        &desk.run(&["export", &roster, "--token-file", token]).await,
        0,
    );
    assert!(
        fs::read_to_string(&roster)
            .unwrap()
            .contains("Test Person 3")
    );
    ended(
        &desk
            .run(&[
                "export",
                "--report",
                &desk.path("r.xlsx"),
                "--token-file",
                token,
            ])
            .await,
        0,
    );
    let bad = desk.write("bad.token", "stairgate_00");
    let bad = desk.run(&["export", &roster, "--token-file", &bad]).await;
    ended(&bad, 1);
    assert!(text(&bad.stderr).contains("refuses (401)"), "{bad:?}");
    let nowhere = [
        "export",
        &roster,
        "--token-file",
        token,
        "--url",
        "http://127.0.0.1:1",
    ];
    let nowhere = desk.run(&nowhere).await;
    assert!(
        text(&nowhere.stderr).contains("is it running?"),
        "{nowhere:?}"
    );
    running.gateway.stop(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_template_needs_nothing_and_bad_usage_is_said() {
    let folder = temp_dir();
    let file = folder.path().join("template.xlsx");
    let made = run(&["export", "--template", file.to_str().unwrap()]).await;
    ended(&made, 0);
    assert!(fs::read(&file).unwrap().starts_with(b"PK"));
    for args in [
        &["export"][..],
        &["export", "a.csv", "--report", "b.xlsx"],
        &["import"],
    ] {
        let output = run(args).await;
        assert_eq!(output.status.code(), Some(2), "{args:?}");
    }
    let desk = Desk::new("127.0.0.1:0", &two_wells());
    let odd = desk.run(&["export", "roster.pdf"]).await;
    assert_eq!(odd.status.code(), Some(2), "{odd:?}");
    let missing = desk.run(&["import", &desk.path("nowhere.xlsx")]).await;
    assert_eq!(missing.status.code(), Some(1), "{missing:?}");
}
