//! Problems and warnings of the configuration, in Chinese, as far as the console can cause them.

/// What a problem is in English, up to where its advice adds nothing, and in Chinese; `{}` is a name, a
/// number or a word that goes over as it is.
const PROBLEMS: [(&str, &str); 53] = [
    // Of any value.
    (
        "is missing (a stairwell's id",
        "缺少（请选择楼道，或整个小区）",
    ),
    (
        "is missing (as on the door, such as \"2\")",
        "缺少（请填写门上的单元号）",
    ),
    ("is missing (as on the wall", "缺少（请填写墙上的幢号）"),
    (
        "is missing: mqtt.listen is not loopback",
        "缺少：门禁接入口对外开放，每扇门都需要用户名和密码",
    ),
    (
        "is missing (the controller's hostname",
        "缺少（请填写控制器设置中的主机名）",
    ),
    (
        "is missing (the controller's serial number",
        "缺少（请填写控制器的序列号）",
    ),
    (
        "is missing (the receiver checks",
        "缺少（接收端用它核对每条消息的签名）",
    ),
    (
        "is missing (the platform knows us",
        "缺少（平台凭它，或凭客户端证书识别本网关）",
    ),
    (
        "is missing (a password needs its username)",
        "缺少（有密码就要有用户名）",
    ),
    ("is missing (such as {})", "缺少（例如 {}）"),
    ("is missing ({})", "缺少（{}）"),
    (
        "{} is not usable: an id is 1 to 32",
        "{} 不能用作编号：请用 1 到 32 个 a-z、A-Z、0-9、“-”、“_”",
    ),
    (
        "{} is not usable: is 1 to 64 characters",
        "{} 不可用：请写 1 到 64 个字符，不含控制字符",
    ),
    ("{} is not known (write {})", "不认识 {}（可写 {}）"),
    (
        "{} is out of range (write a whole number from {} to {})",
        "{} 超出范围（请写 {} 到 {} 的整数）",
    ),
    ("must be 1 to {} characters", "须为 1 到 {} 个字符"),
    ("another {} has this id", "已有相同的编号（编号不能重复）"),
    (
        "\"compound\" means the compound itself",
        "“compound” 指整个小区（请换一个编号）",
    ),
    ("has more than {} entries", "超过 {} 条（请减少）"),
    (
        "unknown key (did you mean {}?)",
        "不认识这一项（是否为 {}？）",
    ),
    ("unknown key", "不认识这一项（请删除）"),
    (
        "is {} (write a whole number from {} to {})",
        "类型不对（请写 {1} 到 {2} 的整数）",
    ),
    ("is {} (write a text in quotes)", "类型不对（请写文字）"),
    ("is {} (write {})", "类型不对（请写 {1}）"),
    ("is empty (write a path)", "不能为空（请写路径）"),
    (
        "is empty: this linkage gets no alerts",
        "为空：该联动收不到任何告警（“*”表示全部）",
    ),
    ("is empty", "不能为空"),
    // Addresses and secrets.
    ("is no URL: {} (write {})", "不是地址（例如 {1}）"),
    ("has no host (write {})", "地址中没有主机（例如 {}）"),
    ("port 0 cannot be dialled", "端口不能为 0"),
    (
        "has a log-in in it",
        "地址中含有登录信息（请去掉，另填用户名和密码）",
    ),
    (
        "{}: is not supported here (write {})",
        "此处不支持 {}（例如 {}）",
    ),
    ("has no password", "没有密码（请填写）"),
    (
        "a secret does not belong in this file",
        "密码不能直接写在配置文件中（请写入权限为 0600 的文件，并在此填写文件名）",
    ),
    (
        "a secret is one line",
        "须为一行，最多 4096 字节，不含控制字符",
    ),
    ("stands beside {} (", "与 {} 只能保留一个"),
    (
        "the environment has no {} (",
        "环境变量 {} 不存在（请设置）",
    ),
    ("cannot read {}: {}", "无法读取 {}：{}"),
    (
        "{} can be read by every user",
        "{} 可被所有用户读取（请执行 chmod 600）",
    ),
    ("{} is not a file", "{} 不是文件"),
    ("stands alone (add {})", "需要与 {} 一起填写"),
    ("stands without {} (add it)", "需要与 {} 一起填写"),
    (
        "alerts cross the network unencrypted",
        "告警以明文经过网络（请改用加密地址）",
    ),
    (
        "swipes and passwords cross the network unencrypted",
        "刷卡和密码以明文经过网络（共用网络中请用 mqtts://）",
    ),
    // What belongs together.
    (
        "there is no stairwell {} (",
        "没有楼道 {}（请先添加，或选整个小区）",
    ),
    (
        "there is no camera {} (",
        "没有摄像机 {}（请添加，或改正编号）",
    ),
    ("there is no alert kind {} (", "没有告警类型 {}"),
    ("there is no {} to include", "没有可附带的内容 {}"),
    (
        "camera {} belongs to {}, not to {}",
        "摄像机 {} 属于 {}，不属于 {}",
    ),
    (
        "is also that of camera {}:",
        "与摄像机 {} 的地址相同：许多摄像机只允许少量连接",
    ),
    (
        "no door names this camera",
        "没有门使用这台摄像机：不会产生视频",
    ),
    (
        "no camera sees this door",
        "没有摄像机对着这扇门：进出不会有视频",
    ),
    (
        "there is none: alerts are kept here",
        "还没有联动：告警只保存在本机，不发给任何人（请添加联动）",
    ),
];

/// What is rare, or needs the words of the English sentence.
const MORE: [(&str, &str); 22] = [
    (
        "cannot be changed while the gateway runs: topics",
        "运行中不能修改：主题由它组成（请在配置文件中修改后重启）",
    ),
    (
        "cannot be changed while the gateway runs",
        "运行中不能修改（请在配置文件中修改后重启）",
    ),
    (
        "names a file of the gateway's machine",
        "是网关主机上的文件：只能在配置文件中设置",
    ),
    (
        "is on another host",
        "换了主机：请重新填写密码或密钥，已保存的不会发往新地址",
    ),
    (
        "cannot go or be given another id: {} dwellings",
        "不能删除或改编号：名册中有 {} 户在此（请物业先迁出或注销）",
    ),
    ("one is named twice", "有一项重复"),
    ("{} is named twice", "{} 重复"),
    (
        "is the same as that of door {} (",
        "与门 {} 相同（一条消息只能对应一扇门）",
    ),
    (
        "the user name {} stands elsewhere",
        "用户名 {} 已用于别处，且密码不同",
    ),
    (
        "a native controller needs none",
        "native 控制器不需要（主题中已有门的编号，请删除）",
    ),
    ("there is no door {}", "没有门 {}"),
    (
        "must not have + or # in it",
        "不能含有 + 或 #，也不能以 $ 开头（例如 stairgate）",
    ),
    (
        "must be 1 to {} bytes long, and nobody else's",
        "须为 1 到 {} 字节，且在该服务器上不与他人相同",
    ),
    (
        "must be 1 to {} bytes long and stay the same",
        "须为 1 到 {} 字节，且保持不变：它是本网关会话的名称",
    ),
    (
        "{} is not supported in this version (write {})",
        "本版本不支持 {}（可写 {}）",
    ),
    (
        "unknown time zone {} (",
        "不认识时区 {}（例如 Asia/Shanghai）",
    ),
    ("no stairwell is in a building {} (", "没有楼道属于 {} 幢"),
    (
        "belongs to no grid: {} (",
        "不属于任何网格：{}（这些案件须人工派单）",
    ),
    ("{} is in a grid already", "{} 已属于另一个网格"),
    (
        "names nobody",
        "没有写明责任人（请填写社区、街道或区的人员或单位）",
    ),
    ("clips will be {} s long", "视频将为 {} 秒，而不是 30 秒"),
    (
        "there is no {} {} that could be given another id",
        "没有 {} {}，无法改编号",
    ),
];

/// `text` in Chinese, by the pattern that says most of it; the English goes with it where there is none.
pub(super) fn problem_in_chinese(text: &str) -> String {
    let all = PROBLEMS.iter().chain(&MORE);
    let fitting = all.filter_map(|(pattern, zh)| Some((pattern, zh, matched(pattern, text)?)));
    let best = fitting.max_by_key(|(pattern, _, _)| pattern.replace("{}", "").len());
    best.map_or_else(
        || format!("此项有误：{text}"),
        |(_, zh, pieces)| filled(zh, &pieces),
    )
}

/// The pieces of `text` at the `{}` of `pattern`; what follows the pattern does not matter.
fn matched<'t>(pattern: &str, text: &'t str) -> Option<Vec<&'t str>> {
    let mut parts = pattern.split("{}");
    let mut rest = text.strip_prefix(parts.next()?)?;
    let mut pieces = Vec::new();
    for part in parts {
        let (piece, after) = match part {
            "" => (rest, ""),
            part => rest.split_once(part)?,
        };
        pieces.push(piece);
        rest = after;
    }
    Some(pieces)
}

/// `zh` with the pieces at its `{}`, in order, or at `{1}`, by their place from 0.
fn filled(zh: &str, pieces: &[&str]) -> String {
    let mut text = String::new();
    let mut in_order = pieces.iter();
    let mut parts = zh.split('{');
    text.push_str(parts.next().unwrap_or_default());
    for part in parts {
        let (place, rest) = part.split_once('}').unwrap_or(("", part));
        let piece = match place.parse::<usize>() {
            Ok(idx) => pieces.get(idx),
            Err(_) => in_order.next(),
        };
        text.push_str(piece.copied().unwrap_or_default());
        text.push_str(rest);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What checks of bad files print, as `gateway.toml:12: door.a.match: what`.
    const PRINTED: [&str; 5] = [
        include_str!("../config/snapshots/stairgate__config__tests__bad_devices.snap"),
        include_str!("../config/snapshots/stairgate__config__tests__bad_linkages.snap"),
        include_str!("../config/snapshots/stairgate__config__tests__warnings.snap"),
        include_str!("../config/snapshots/stairgate__config__linkages_tests__bad_receivers.snap"),
        include_str!(
            "../config/snapshots/stairgate__config__cases_tests__places_without_a_grid.snap"
        ),
    ];

    #[test]
    fn every_problem_of_what_the_console_edits_has_its_chinese() {
        let of_the_site = [
            "stairwell",
            "camera",
            "door",
            "linkage",
            "mqtt",
            "case.grid",
            "footage.pre",
        ];
        let mut n_seen = 0;
        for line in PRINTED.iter().flat_map(|printed| printed.lines()) {
            let Some((_, rest)) = line
                .split_once(": ")
                .filter(|(file, _)| file.contains(".toml"))
            else {
                continue;
            };
            let (key, what) = rest.split_once(": ").unwrap();
            if of_the_site.iter().any(|part| key.starts_with(part)) {
                n_seen += 1;
                let zh = problem_in_chinese(what);
                assert!(!zh.starts_with("此项有误"), "{what}: {zh}");
                // No piece of the advice went over with a name.
                let is_left = ["(", "write ", "{"].iter().any(|it| zh.contains(it));
                assert!(!is_left || what.contains("cannot read"), "{what}: {zh}");
            }
        }
        assert!(n_seen > 50, "{n_seen}");
    }

    #[test]
    fn names_and_numbers_go_over() {
        let zh = problem_in_chinese("camera one belongs to b03-u2, not to b04-u1");
        assert_eq!(zh, "摄像机 one 属于 b03-u2，不属于 b04-u1");
        let zh = problem_in_chinese("is a text (write a whole number from 1 to 60)");
        assert_eq!(zh, "类型不对（请写 1 到 60 的整数）");
        for (en, zh) in [
            ("is empty (write a path)", "不能为空（请写路径）"),
            (
                "is no URL: relative URL without a base (write \"https://host\")",
                "不是地址（例如 \"https://host\"）",
            ),
            ("there is no door \"x\"", "没有门 \"x\""),
            (
                "there is no door \"x\" that could be given another id",
                "没有 door \"x\"，无法改编号",
            ),
        ] {
            assert_eq!(problem_in_chinese(en), zh);
        }
        assert_eq!(
            problem_in_chinese("something new"),
            "此项有误：something new"
        );
    }
}
