//! Spreadsheets of sites as people send them.

use super::*;
use crate::site::{CompoundEntry, StairwellEntry};

fn empty() -> SiteView {
    SiteView {
        version: String::new(),
        writable: true,
        compound: CompoundEntry::default(),
        stairwells: Vec::new(),
        cameras: Vec::new(),
        doors: Vec::new(),
        linkages: Vec::new(),
    }
}

fn read(csv: &str, site: SiteView) -> SheetReport {
    read_sheet(csv.as_bytes(), site).unwrap()
}

fn shown(report: &SheetReport) -> String {
    let stairwells = report
        .stairwells
        .iter()
        .map(|s| format!("stairwell {} {}-{}", s.id, s.building, s.unit));
    let cameras = report
        .cameras
        .iter()
        .map(|c| format!("camera {} {} {} {}", c.id, c.place, c.url, c.transport));
    let doors = report.doors.iter().map(|d| {
        format!(
            "door {} {} {:?} {} {}",
            d.id, d.place, d.cameras, d.controller, d.decision
        )
    });
    let problems = report
        .problems
        .iter()
        .map(|p| format!("{} {:?}: {} / {}", p.row, p.column, p.text_zh, p.text_en));
    let lines: Vec<String> = stairwells
        .chain(cameras)
        .chain(doors)
        .chain(problems)
        .collect();
    lines.join("\n")
}

#[test]
fn a_row_is_a_stairwell_with_its_camera_and_its_door() {
    let report = read(
        "马涧花园楼道表,,,,\n\
         幢号,单元,RTSP地址,用户名,密码,控制器,备注\n\
         3幢,2单元,rtsp://192.0.2.10/1,admin,' pass ,native,x\n\
         ０３,3,rtsp://192.0.2.11/1,admin,secret,native,\n\
         3,三,,,,,\n\
         小区,,,,,,\n",
        empty(),
    );
    assert_eq!(
        shown(&report),
        "stairwell b03-u2 3-2\n\
         stairwell b03-u3 3-3\n\
         camera b03-u2-in b03-u2 rtsp://192.0.2.10/1 tcp\n\
         camera b03-u3-in b03-u3 rtsp://192.0.2.11/1 tcp\n\
         door b03-u2-door b03-u2 [\"b03-u2-in\"] native record\n\
         door b03-u3-door b03-u3 [\"b03-u3-in\"] native record\n\
         5 None: 幢号或单元不能变成编号（请另填楼道编号，如 b03-u2） / no id can be made of \
         building and unit (fill in the stairwell's id, such as b03-u2)\n\
         6 None: 没有说明是哪个楼道（请填写楼道编号，或幢号和单元；大门写“小区”） / does not say \
         which stairwell (fill in its id, or building and unit; for a gate write compound)"
    );
    assert_eq!(
        report.cameras[0].password.as_ref().unwrap().reveal(),
        "' pass "
    );
    assert_eq!(report.rows, 4);
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["cameras"][1]["password"], "secret");
}

#[test]
fn what_is_there_stays_unless_the_file_says_otherwise() {
    let mut site = empty();
    site.stairwells.push(StairwellEntry {
        id: "old".to_owned(),
        was: None,
        building: "3".to_owned(),
        unit: "2".to_owned(),
    });
    site.cameras.push(CameraEntry {
        id: "old-cam".to_owned(),
        place: "old".to_owned(),
        url: "rtsp://192.0.2.10/1".to_owned(),
        transport: "udp".to_owned(),
        has_password: true,
        username: Some("admin".to_owned()),
        ..CameraEntry::default()
    });
    site.doors.push(DoorEntry {
        id: "old-door".to_owned(),
        place: "old".to_owned(),
        cameras: vec!["old-cam".to_owned()],
        controller: "native".to_owned(),
        decision: "online".to_owned(),
        ..DoorEntry::default()
    });
    let csv = "stairwell,building,unit,camera,url,door,controller,device_id,device_door\n\
               ,3,2,,rtsp://192.0.2.10/1,,uhppoted,405419896,1\n\
               old,,,second,rtsp://192.0.2.12/1,,,,\n\
               compound,,,gate-cam,rtsp://192.0.2.99/1,gate,esp-rfid,,\n\
               new,5,1,,,,uhppoted,x,9\n\
               new,5,1,none-yet,,,,,\n";
    let report = read(csv, site);
    assert_eq!(
        shown(&report),
        "stairwell old 3-2\n\
         camera old-cam old rtsp://192.0.2.10/1 udp\n\
         camera second old rtsp://192.0.2.12/1 tcp\n\
         camera gate-cam compound rtsp://192.0.2.99/1 tcp\n\
         door old-door old [\"old-cam\", \"second\"] uhppoted online\n\
         door gate compound [\"gate-cam\"] esp-rfid record\n\
         5 Some(\"H\"): 控制器序列号：不是 1 到 4294967295 的整数 / device_id: is no whole number from 1 to 4294967295\n\
         5 Some(\"I\"): 控制器门号：不是 1 到 4 的整数 / device_door: is no whole number from 1 to 4\n\
         6 Some(\"E\"): 主码流地址：新的摄像机必须填写地址，如 rtsp://192.0.2.10:554/… / url: a new camera needs its address, such as rtsp://192.0.2.10:554/…"
    );
    let matcher = report.doors[0].matcher.as_ref().unwrap();
    assert_eq!(
        (matcher.device_id, matcher.door),
        (Some(405_419_896), Some(1))
    );
    assert!(report.cameras[0].has_password && report.cameras[0].password.is_none());
}

#[test]
fn what_stands_twice_is_said() {
    let csv = "stairwell,building,unit,camera,url,door,controller\n\
               a,1,1,c,rtsp://192.0.2.1/1,d,native\n\
               b,1,2,c,rtsp://192.0.2.2/1,e,native\n\
               b,1,2,,,d,native\n";
    let report = read(csv, empty());
    let rows: Vec<(u32, &str)> = report
        .problems
        .iter()
        .map(|problem| (problem.row, problem.text_en.as_str()))
        .collect();
    assert_eq!(
        rows,
        [
            (
                3,
                "camera: c stands twice in the file (change one of the ids)"
            ),
            (
                4,
                "door: d stands twice in the file (change one of the ids)"
            ),
        ]
    );
}

#[test]
fn the_template_is_read_as_an_empty_site() {
    let bytes = template().unwrap();
    let report = read_sheet(&bytes, empty()).unwrap();
    assert_eq!(shown(&report), "");
    let err = read_sheet(b"a,b\n1,2\n", empty()).unwrap_err();
    assert_eq!(err, FileReason::NoHeadings);
}

#[test]
fn ninety_three_rows_make_ninety_three_of_each() {
    let mut csv = String::from("building,unit,url,controller\n");
    for n in 0..93 {
        let (building, unit) = (n / 3 + 1, n % 3 + 1);
        csv.push_str(&format!("{building},{unit},rtsp://192.0.2.1/{n},native\n"));
    }
    let report = read(&csv, empty());
    assert_eq!(report.problems, []);
    let sizes = (
        report.stairwells.len(),
        report.cameras.len(),
        report.doors.len(),
    );
    assert_eq!(sizes, (93, 93, 93));
    // The same file once more changes nothing.
    let again = SiteView {
        stairwells: report.stairwells.clone(),
        cameras: report.cameras.clone(),
        doors: report.doors.clone(),
        ..empty()
    };
    let second = read(&csv, again);
    assert_eq!(second.problems, []);
    assert_eq!(second.cameras, report.cameras);
    assert_eq!(second.doors, report.doors);
    assert_eq!(second.stairwells, report.stairwells);
}

proptest::proptest! {
    #[test]
    fn no_file_makes_it_fail(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
        drop(read_sheet(&bytes, empty()));
    }

    #[test]
    fn no_cell_makes_it_fail(cells in proptest::collection::vec("\\PC{0,12}", 16)) {
        let mut csv = String::from("stairwell,building,unit,camera,url,door,controller,device_id\n");
        for row in cells.chunks(8) {
            csv.push_str(&row.join(","));
            csv.push('\n');
        }
        drop(read_sheet(csv.as_bytes(), empty()));
    }
}
