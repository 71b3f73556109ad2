//! What a site still lacks before it does its work.

use std::collections::BTreeSet;

use serde::Serialize;

use super::lists::SiteView;

/// How much it matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Need {
    /// Without it there is no entry, no clip or no alert.
    Needed,
    /// Someone should look.
    Advised,
}

/// One thing that is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct MissingItem {
    /// A word for programs.
    pub code: &'static str,
    /// How much it matters.
    pub severity: Need,
    /// What is missing and what to do, in Chinese.
    pub text_zh: String,
    /// The same in English.
    pub text_en: String,
    /// The thing concerned, such as `door.b03-u2-door`; `site`: the site as a whole.
    #[serde(rename = "where")]
    pub at: String,
}

/// What is known besides the lists.
#[derive(Clone, Debug, Default)]
pub struct MissingFacts {
    /// Cameras that have sent a key frame.
    pub cameras_up: BTreeSet<String>,
    /// Doors whose controllers have been heard.
    pub doors_heard: BTreeSet<String>,
    /// Doors with at least one entry.
    pub doors_swiped: BTreeSet<String>,
    /// Receivers that can be reached.
    pub linkages_up: BTreeSet<String>,
    /// Places with a dwelling.
    pub places_with_dwellings: BTreeSet<String>,
    /// Cardholders with a card.
    pub n_cards: usize,
}

/// What is missing, by what an installer does first.
pub fn missing_items(site: &SiteView, facts: &MissingFacts) -> Vec<MissingItem> {
    let mut found = Found(Vec::new());
    if !site.writable {
        found.needed(
            "file-not-writable",
            "site".to_owned(),
            (
                "配置文件不可写，无法在此修改：请让服务用户能写配置文件所在的文件夹",
                "the configuration file cannot be written, so nothing can be changed here: let the \
             service's user write to its folder",
            ),
        );
    }
    if site.stairwells.is_empty() {
        found.needed(
            "no-stairwells",
            "site".to_owned(),
            (
                "还没有楼道：请添加，或上传表格",
                "there are no stairwells: add them, or upload a spreadsheet",
            ),
        );
    }
    of_stairwells(site, facts, &mut found);
    of_cameras(site, facts, &mut found);
    of_doors(site, facts, &mut found);
    of_linkages(site, facts, &mut found);
    if facts.n_cards == 0 {
        found.needed(
            "no-cards",
            "roster".to_owned(),
            (
                "还没有发放任何卡：请物业导入名册或发卡",
                "no card has been issued: let the property office import the roster or issue cards",
            ),
        );
    }
    found.0
}

struct Found(Vec<MissingItem>);

impl Found {
    fn needed(&mut self, code: &'static str, at: String, texts: (&str, &str)) {
        self.add(Need::Needed, code, at, texts);
    }

    fn advised(&mut self, code: &'static str, at: String, texts: (&str, &str)) {
        self.add(Need::Advised, code, at, texts);
    }

    fn add(&mut self, severity: Need, code: &'static str, at: String, (zh, en): (&str, &str)) {
        self.0.push(MissingItem {
            code,
            severity,
            text_zh: zh.to_owned(),
            text_en: en.to_owned(),
            at,
        });
    }
}

fn of_stairwells(site: &SiteView, facts: &MissingFacts, found: &mut Found) {
    for stairwell in &site.stairwells {
        let id = &stairwell.id;
        let at = || format!("stairwell.{id}");
        if !site.cameras.iter().any(|camera| camera.place == *id) {
            found.needed(
                "stairwell-without-camera",
                at(),
                ("该楼道没有摄像机", "this stairwell has no camera"),
            );
        }
        if !site.doors.iter().any(|door| door.place == *id) {
            found.needed(
                "stairwell-without-door",
                at(),
                ("该楼道没有门禁", "this stairwell has no door"),
            );
        }
        if !facts.places_with_dwellings.contains(id) {
            found.advised("stairwell-without-dwellings", at(), (
                "该楼道还没有登记住户：请物业导入名册",
                "no dwelling is registered in this stairwell: let the property office import the roster",
            ));
        }
    }
}

fn of_cameras(site: &SiteView, facts: &MissingFacts, found: &mut Found) {
    for camera in &site.cameras {
        let at = || format!("camera.{}", camera.id);
        if !facts.cameras_up.contains(&camera.id) {
            found.needed(
                "camera-down",
                at(),
                (
                    "摄像机没有画面：请检测并按提示处理",
                    "the camera sends no picture: probe it and do what it says",
                ),
            );
        }
        if !site
            .doors
            .iter()
            .any(|door| door.cameras.contains(&camera.id))
        {
            found.advised(
                "camera-without-door",
                at(),
                (
                    "没有门使用该摄像机，不会产生视频片段",
                    "no door names this camera: it makes no clips",
                ),
            );
        }
        if camera.sub_url.is_none() {
            found.advised(
                "camera-without-sub-stream",
                at(),
                (
                    "没有填写子码流，电视墙会使用主码流",
                    "it has no sub stream: the wall takes the main stream",
                ),
            );
        }
    }
}

fn of_doors(site: &SiteView, facts: &MissingFacts, found: &mut Found) {
    for door in &site.doors {
        let at = || format!("door.{}", door.id);
        if door.cameras.is_empty() {
            found.needed(
                "door-without-camera",
                at(),
                (
                    "没有摄像机对着该门，出入记录没有视频",
                    "no camera sees this door: its entries have no video",
                ),
            );
        }
        if !facts.doors_heard.contains(&door.id) {
            found.needed(
                "door-silent",
                at(),
                (
                    "还没有收到控制器的消息：请检查其 MQTT 地址、主题和登录",
                    "its controller has not been heard: check its MQTT address, topic and log-in",
                ),
            );
        } else if !facts.doors_swiped.contains(&door.id) {
            found.advised(
                "door-untested",
                at(),
                (
                    "还没有刷过卡：请刷一次卡测试",
                    "no card has been swiped here: swipe one as a test",
                ),
            );
        }
    }
}

fn of_linkages(site: &SiteView, facts: &MissingFacts, found: &mut Found) {
    if site.linkages.is_empty() {
        found.needed(
            "no-linkages",
            "site".to_owned(),
            (
                "还没有联动：告警只保存在网关，不会送达任何单位",
                "there are no linkages: alerts stay here and go to nobody",
            ),
        );
    }
    for linkage in &site.linkages {
        if !facts.linkages_up.contains(&linkage.id) {
            found.needed(
                "linkage-down",
                format!("linkage.{}", linkage.id),
                (
                    "联系不上接收端：请检测",
                    "the receiver cannot be reached: probe it",
                ),
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::site::{CameraEntry, DoorEntry, LinkageEntry, StairwellEntry};

    fn empty() -> SiteView {
        SiteView {
            version: String::new(),
            writable: true,
            compound: crate::site::CompoundEntry::default(),
            stairwells: Vec::new(),
            cameras: Vec::new(),
            doors: Vec::new(),
            linkages: Vec::new(),
        }
    }

    fn codes(items: &[MissingItem]) -> Vec<&str> {
        items.iter().map(|item| item.code).collect()
    }

    #[test]
    fn an_empty_site_lacks_everything_and_a_whole_one_nothing() {
        let items = missing_items(&empty(), &MissingFacts::default());
        assert_eq!(codes(&items), ["no-stairwells", "no-linkages", "no-cards"]);
        let mut site = empty();
        site.stairwells.push(StairwellEntry {
            id: "s".to_owned(),
            ..StairwellEntry::default()
        });
        let items = missing_items(&site, &MissingFacts::default());
        assert_eq!(
            codes(&items),
            [
                "stairwell-without-camera",
                "stairwell-without-door",
                "stairwell-without-dwellings",
                "no-linkages",
                "no-cards"
            ]
        );
        site.cameras.push(CameraEntry {
            id: "c".to_owned(),
            place: "s".to_owned(),
            sub_url: Some("rtsp://h/2".to_owned()),
            ..CameraEntry::default()
        });
        site.doors.push(DoorEntry {
            id: "d".to_owned(),
            place: "s".to_owned(),
            cameras: vec!["c".to_owned()],
            ..DoorEntry::default()
        });
        site.linkages.push(LinkageEntry {
            id: "l".to_owned(),
            ..LinkageEntry::default()
        });
        let one = |id: &str| BTreeSet::from([id.to_owned()]);
        let mut facts = MissingFacts {
            cameras_up: one("c"),
            doors_heard: one("d"),
            doors_swiped: one("d"),
            linkages_up: one("l"),
            places_with_dwellings: one("s"),
            n_cards: 1,
        };
        assert_eq!(missing_items(&site, &facts), []);
        facts.doors_heard.clear();
        let items = missing_items(&site, &facts);
        assert_eq!(codes(&items), ["door-silent"]);
        assert_eq!(items[0].at, "door.d");
    }
}
