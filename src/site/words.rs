//! What parts say of themselves, in Chinese: the sentences of cameras, receivers and disks by what they
//! begin with or hold. A sentence that is not known stays English behind a Chinese word.

/// By a piece of the English sentence, the Chinese one; `{}` is the number or name in it.
const SENTENCES: [(&str, &str); 39] = [
    ("has no host: correct it", "地址中没有主机（请改正）"),
    (
        "has no address: check url",
        "主机名无法解析：请检查地址或 DNS",
    ),
    (
        "nothing listens at",
        "该端口没有服务：请检查地址中的端口，并在摄像机中打开 RTSP",
    ),
    (
        "cannot be reached: check power",
        "连接不上：请检查电源、网线和地址",
    ),
    (
        "does not answer: check power",
        "没有应答：请检查电源、网线和地址",
    ),
    (
        "takes connections but does not answer RTSP",
        "能连接但不应答 RTSP：请检查端口，或重启摄像机",
    ),
    ("refuses the log-in", "摄像机拒绝登录：请检查用户名和密码"),
    ("asks for a log-in", "摄像机要求登录：请填写用户名和密码"),
    (
        "has no stream at this path",
        "该地址没有码流（404）：请检查地址中的路径",
    ),
    (
        "refuses this transport",
        "摄像机不支持该传输方式（461）：请改用另一种",
    ),
    (
        "no room for another viewer",
        "摄像机的连接数已满（453）：请关闭其他客户端",
    ),
    (
        "offers no video there",
        "该地址没有视频：请检查地址中的路径",
    ),
    (
        "set it to H.264 or H.265",
        "编码不受支持：请在摄像机中改为 H.264 或 H.265",
    ),
    (
        "has B-frames",
        "码流含 B 帧：请在摄像机中关闭（H.264 基本档没有 B 帧）",
    ),
    (
        "no key frame for",
        "长时间没有关键帧：请把摄像机的关键帧间隔设为 1 至 4 秒",
    ),
    (
        "no parameter sets",
        "摄像机没有发送参数集（SPS、PPS）：请升级或更换",
    ),
    ("sent no frames for", "已连接，但摄像机没有送来画面"),
    ("closed the session", "摄像机断开了连接"),
    (
        "description cannot be read",
        "摄像机的描述（SDP）无法读取：请升级固件",
    ),
    ("could not ", "与摄像机对话失败：请重启摄像机"),
    ("waiting for the first key frame", "等待第一个关键帧"),
    (
        "of pre-roll fit into",
        "内存中放不下预录画面：请降低摄像机码率或关键帧间隔",
    ),
    ("nothing heard of it yet", "还没有收到控制器的任何消息"),
    ("its controller went away", "控制器离线：请检查电源和网络"),
    ("as many as may", "等待发送的告警已达上限：请检查接收端"),
    (
        "alerts wait, the oldest",
        "接收端不可用，告警正在等待：请检查接收端",
    ),
    ("in the dead letters", "有告警未能送达：请查看原因后重发"),
    ("not heard of yet", "还没有联系上"),
    (
        "no longer configured, but alerts wait",
        "有已删除的联动仍有告警等待",
    ),
    (
        "footage disk does not answer",
        "录像盘没有应答：请检查连线、控制器或网络",
    ),
    (
        "footage disk is away",
        "录像盘不在：请检查是否已挂载；无法保存视频",
    ),
    (
        "another disk is at",
        "录像路径上是另一块盘：请换回，或用 stairgate accept-disk 启用新盘",
    ),
    ("swipes are kept more slowly", "写盘跟不上刷卡：请检查磁盘"),
    ("listener of the doors", "门禁接入口不可用"),
    ("a key frame every", "关键帧间隔过长：请设为 1 至 4 秒"),
    (
        "fewer than two key frames",
        "没有看到两个关键帧：请把关键帧间隔设为 1 至 4 秒",
    ),
    (
        "H.265: not every browser",
        "H.265：并非所有浏览器都能显示；H.264 通用，但数据量约为两倍",
    ),
    ("frames a second: set 10", "帧率过低：请设为每秒 10 帧以上"),
    ("packets lost within", "有丢包：请改用 tcp 传输，或检查网络"),
];

/// `text` in Chinese; the English goes with it where only it has the details.
pub(crate) fn in_chinese(text: &str) -> String {
    let more = [
        (
            "the camera's clock is off",
            "摄像机时钟不准：请设置对时服务器",
        ),
        ("its pre-roll needs", "预录所需内存过大：请降低码率"),
    ];
    let mut all = SENTENCES.iter().chain(&more);
    match all.find(|(piece, _)| text.contains(piece)) {
        Some((_, zh)) => (*zh).to_owned(),
        None if text.is_empty() => String::new(),
        None => format!("异常：{text}"),
    }
}

/// Is there a Chinese sentence for it?
#[cfg(test)]
fn is_known(text: &str) -> bool {
    !in_chinese(text).starts_with("异常")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::camera::SessionError;

    #[test]
    fn every_advice_on_a_camera_has_its_chinese() {
        let within = Duration::from_secs(5);
        let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
        let unreachable = std::io::Error::from(std::io::ErrorKind::HostUnreachable);
        let peer = || "192.0.2.1:554".to_owned();
        let errors = [
            SessionError::Url,
            SessionError::Lookup {
                host: "nvr".to_owned(),
                source: unreachable,
            },
            SessionError::Connect {
                peer: peer(),
                source: refused,
            },
            SessionError::Connect {
                peer: peer(),
                source: std::io::Error::from(std::io::ErrorKind::NetworkUnreachable),
            },
            SessionError::NoAnswer {
                peer: peer(),
                within,
            },
            SessionError::Mute {
                peer: peer(),
                within,
            },
            SessionError::NoVideo,
            SessionError::Codec {
                encoding: "JPEG".to_owned(),
            },
            SessionError::BFrames,
            SessionError::NoKeyFrame(within),
            SessionError::NoParams(within),
            SessionError::Stalled(within),
            SessionError::Closed,
        ];
        for err in errors {
            for has_login in [false, true] {
                let advice = err.advice("camera c1", has_login);
                assert!(is_known(&advice), "{advice}");
            }
        }
        assert!(!is_known("something new"));
        assert_eq!(in_chinese(""), "");
    }
}
