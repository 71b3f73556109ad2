//! A key frame as a JPEG, for lists and thumbnails: the one place that decodes video.

use bytes::Bytes;
use ffmpeg_next::codec::{Context, Id, decoder, encoder, threading};
use ffmpeg_next::format::Pixel;
use ffmpeg_next::frame::Video;
use ffmpeg_next::software::scaling;
use ffmpeg_next::{Dictionary, Error, Packet, Rational};

use super::av::{init, parameters};
use super::{AvError, MuxError};
use crate::camera::VideoParams;

/// Narrowest picture that is drawn.
const WIDTH_MIN: u32 = 16;

/// JPEG quantiser, 2 (best) to 31: 4 is some 30 kB for 640 by 360 pixels.
const QUANTISER: &str = "4";

/// Decodes `key_frame` (NAL units after 4-byte lengths) and draws it at most `width_max` pixels wide,
/// in the shape that the camera means (pixels need not be square). Blocks, for some milliseconds.
///
/// # Errors
/// [`MuxError::Picture`] when it cannot be decoded (broken, or not a key frame) or drawn.
pub fn key_frame_jpeg(
    params: &VideoParams,
    key_frame: &Bytes,
    width_max: u32,
) -> Result<Bytes, MuxError> {
    init();
    let failed = |step: &'static str| {
        move |source: Error| MuxError::Picture {
            step,
            source: AvError(source),
        }
    };
    let decoded = decode(params, key_frame).map_err(failed("decode"))?;
    let scaled = scale(&decoded, width_max).map_err(failed("scale"))?;
    compress(&scaled).map_err(failed("compress"))
}

fn decode(params: &VideoParams, key_frame: &Bytes) -> Result<Video, Error> {
    let mut context = Context::from_parameters(parameters(params, [0; 4])?)?;
    // One frame: more threads would only wait for each other.
    context.set_threading(threading::Config::count(1));
    let mut decoder: decoder::Video = context.decoder().video()?;
    // A copy, because decoders read up to 64 bytes beyond the end.
    decoder.send_packet(&Packet::copy(key_frame))?;
    decoder.send_eof()?;
    let mut picture = Video::empty();
    decoder.receive_frame(&mut picture)?;
    Ok(picture)
}

fn scale(picture: &Video, width_max: u32) -> Result<Video, Error> {
    let (width, height) = shape(picture, width_max);
    let mut scaler = scaling::Context::get(
        picture.format(),
        picture.width(),
        picture.height(),
        Pixel::YUVJ420P,
        width,
        height,
        scaling::Flags::BILINEAR,
    )?;
    let mut scaled = Video::new(Pixel::YUVJ420P, width, height);
    scaler.run(picture, &mut scaled)?;
    Ok(scaled)
}

/// Width and height in square pixels, even, at most `width_max` wide and never larger than decoded.
fn shape(picture: &Video, width_max: u32) -> (u32, u32) {
    let (width, height) = (u64::from(picture.width()), u64::from(picture.height()));
    let aspect = picture.aspect_ratio();
    let (across, down) = match (
        u64::try_from(aspect.numerator()),
        u64::try_from(aspect.denominator()),
    ) {
        (Ok(across), Ok(down)) if across > 0 && down > 0 => (across, down),
        _ => (1, 1),
    };
    let meant_width = (width * across / down).max(1);
    let drawn_width = meant_width.min(u64::from(width_max.max(WIDTH_MIN)));
    let drawn_height = height * drawn_width / meant_width;
    let even = |n: u64| u32::try_from(n & !1).unwrap_or(WIDTH_MIN).max(2);
    (even(drawn_width), even(drawn_height))
}

fn compress(picture: &Video) -> Result<Bytes, Error> {
    let codec = encoder::find(Id::MJPEG).ok_or(Error::EncoderNotFound)?;
    let mut context = Context::new_with_codec(codec);
    context.set_threading(threading::Config::count(1));
    context.set_flags(ffmpeg_next::codec::Flags::BITEXACT);
    let mut encoder = context.encoder().video()?;
    encoder.set_width(picture.width());
    encoder.set_height(picture.height());
    encoder.set_format(picture.format());
    encoder.set_time_base(Rational(1, 1));
    let options: Dictionary<'_> = [("qmin", QUANTISER), ("qmax", QUANTISER)]
        .into_iter()
        .collect();
    let mut encoder = encoder.open_with(options)?;
    encoder.send_frame(picture)?;
    encoder.send_eof()?;
    let mut packet = Packet::empty();
    encoder.receive_packet(&mut packet)?;
    Ok(Bytes::copy_from_slice(packet.data().unwrap_or_default()))
}
