//! Parameter sets: what is in an `AVCDecoderConfigurationRecord` or an
//! `HEVCDecoderConfigurationRecord` (ISO/IEC 14496-15, 5.3.3.1 and 8.3.3.1).

use bytes::Bytes;

use super::MuxError;
use crate::camera::{Codec, VideoParams};

/// The name of a sample entry whose parameter sets are in its header alone.
pub(super) const fn sample_entry(codec: Codec) -> [u8; 4] {
    match codec {
        Codec::H264 => *b"avc1",
        Codec::H265 => *b"hvc1",
    }
}

/// The name of a sample entry whose parameter sets may change in the stream.
pub(super) const fn in_band_entry(codec: Codec) -> [u8; 4] {
    match codec {
        Codec::H264 => *b"avc3",
        Codec::H265 => *b"hev1",
    }
}

/// Parameters from a configuration record and a picture size.
pub(super) fn video_params(
    codec: Codec,
    width: u32,
    height: u32,
    extra_data: Bytes,
) -> Result<VideoParams, MuxError> {
    let rfc6381 = match codec {
        Codec::H264 => avc_name(&extra_data),
        Codec::H265 => hevc_name(&extra_data),
    };
    Ok(VideoParams {
        codec,
        width,
        height,
        rfc6381: rfc6381.ok_or(MuxError::Params)?,
        extra_data,
    })
}

/// The parameter sets as a decoder meets them in the stream: NAL units after 4-byte lengths.
pub(super) fn in_band(params: &VideoParams) -> Result<Vec<u8>, MuxError> {
    let sets = match params.codec {
        Codec::H264 => avc_sets(&params.extra_data),
        Codec::H265 => hevc_sets(&params.extra_data),
    };
    sets.ok_or(MuxError::Params)
}

/// Reads big-endian numbers off the front of a slice; `None` at its end.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, n: usize) -> Option<&'a [u8]> {
        let (head, rest) = self.0.split_at_checked(n)?;
        self.0 = rest;
        Some(head)
    }

    fn u8(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn u16(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    /// Appends `n` NAL units with 2-byte lengths to `out`, with 4-byte lengths.
    fn nals(&mut self, n: usize, out: &mut Vec<u8>) -> Option<()> {
        for _ in 0..n {
            let n_bytes = self.u16()?;
            out.extend_from_slice(&u32::from(n_bytes).to_be_bytes());
            out.extend_from_slice(self.take(usize::from(n_bytes))?);
        }
        Some(())
    }
}

fn avc_sets(record: &[u8]) -> Option<Vec<u8>> {
    let mut reader = Reader(record);
    let mut out = Vec::new();
    reader.take(5)?;
    let n_sps = reader.u8()? & 0x1f;
    reader.nals(usize::from(n_sps), &mut out)?;
    let n_pps = reader.u8()?;
    reader.nals(usize::from(n_pps), &mut out)?;
    Some(out)
}

fn hevc_sets(record: &[u8]) -> Option<Vec<u8>> {
    let mut reader = Reader(record);
    let mut out = Vec::new();
    reader.take(22)?;
    for _ in 0..reader.u8()? {
        reader.u8()?;
        let n_nals = reader.u16()?;
        reader.nals(usize::from(n_nals), &mut out)?;
    }
    Some(out)
}

/// RFC 6381 name of an `AVCDecoderConfigurationRecord`.
fn avc_name(record: &[u8]) -> Option<String> {
    match record {
        [1, profile, compatibility, level, ..] => {
            Some(format!("avc1.{profile:02X}{compatibility:02X}{level:02X}"))
        }
        _ => None,
    }
}

/// RFC 6381 name of an `HEVCDecoderConfigurationRecord` (ISO/IEC 14496-15, E.3).
fn hevc_name(record: &[u8]) -> Option<String> {
    let mut reader = Reader(record);
    reader.u8()?;
    let general = reader.u8()?;
    let compatibility = u32::from_be_bytes(reader.take(4)?.try_into().ok()?);
    let constraints = reader.take(6)?;
    let level = reader.u8()?;
    let space = match general >> 6 {
        0 => "",
        1 => "A",
        2 => "B",
        _ => "C",
    };
    let tier = if general & 0x20 == 0 { 'L' } else { 'H' };
    let profile = general & 0x1f;
    let mut name = format!(
        "hvc1.{space}{profile}.{:X}.{tier}{level}",
        compatibility.reverse_bits()
    );
    let n_used = constraints
        .iter()
        .rposition(|&b| b != 0)
        .map_or(0, |i| i + 1);
    for byte in constraints.iter().take(n_used) {
        name.push_str(&format!(".{byte:X}"));
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn avc_sets_come_out_with_long_lengths() {
        let record = [
            1, 0x4d, 0x40, 0x1e, 0xff, 0xe1, 0, 3, 0x67, 1, 2, 1, 0, 2, 0x68, 9,
        ];
        assert_eq!(
            avc_sets(&record).unwrap(),
            [0, 0, 0, 3, 0x67, 1, 2, 0, 0, 0, 2, 0x68, 9]
        );
        assert_eq!(avc_name(&record).unwrap(), "avc1.4D401E");
    }

    #[test]
    fn hevc_names_follow_the_standard() {
        // Main profile, compatible with Main and Main 10, level 3.1, progressive frames only.
        let mut record = vec![1, 1, 0x60, 0, 0, 0, 0xb0, 0, 0, 0, 0, 0, 93];
        record.resize(22, 0);
        assert_eq!(hevc_name(&record).unwrap(), "hvc1.1.6.L93.B0");
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(record in proptest::collection::vec(any::<u8>(), 0..80)) {
            let _sets = (avc_sets(&record), hevc_sets(&record));
            let _names = (avc_name(&record), hevc_name(&record));
        }
    }
}
