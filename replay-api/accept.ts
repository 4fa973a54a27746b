// Chooses the media type of an answer from the Accept header, and its compression from
// Accept-Encoding (RFC 9110, sections 12.5.1 and 12.5.3): what is offered with the highest quality,
// where the most specific range that matches an offer decides about it.

interface MediaRange {
  readonly type: string;
  readonly quality: number;
  readonly specificity: number;
}

/**
 * The best of `offers` for `accept`, the first among equals; undefined if none is acceptable. No
 * header accepts everything; a range that cannot be read is passed over.
 */
export function negotiate<Offer extends string>(
  accept: string | undefined,
  offers: readonly Offer[],
): Offer | undefined {
  if (accept === undefined || accept.trim() === '') return offers[0];
  const ranges = accept.split(',').flatMap(parseRange);
  let best: Offer | undefined;
  let bestQuality = 0;
  for (const offer of offers) {
    const quality = qualityOf(offer, ranges);
    if (quality > bestQuality) {
      best = offer;
      bestQuality = quality;
    }
  }
  return best;
}

/**
 * The best of `offers` for the header Accept-Encoding, the first among equals; undefined if what is
 * sent is best left as it is.
 */
export function negotiateEncoding<Offer extends string>(
  accepted: string | undefined,
  offers: readonly Offer[],
): Offer | undefined {
  const qualities = new Map((accepted ?? '').split(',').map(parseCoding));
  let best: Offer | undefined;
  let bestQuality = 0;
  for (const offer of offers) {
    const quality = qualities.get(offer) ?? qualities.get('*') ?? 0;
    if (quality > bestQuality) {
      best = offer;
      bestQuality = quality;
    }
  }
  return bestQuality > 0 && bestQuality >= (qualities.get('identity') ?? 0) ? best : undefined;
}

/** A content coding and its quality; one that cannot be read has none. */
function parseCoding(text: string): readonly [string, number] {
  const [name, ...parameters] = text.split(';').map((part) => part.trim().toLowerCase());
  const weight = parameters.find((parameter) => parameter.startsWith('q='));
  const quality = weight === undefined ? 1 : Number(weight.slice(2));
  return [name, quality >= 0 && quality <= 1 ? quality : 0];
}

function parseRange(text: string): MediaRange[] {
  const [name, ...parameters] = text.split(';').map((part) => part.trim().toLowerCase());
  if (!/^[^\s/]+\/[^\s/]+$/.test(name)) return [];
  const weight = parameters.find((parameter) => parameter.startsWith('q='));
  const quality = weight === undefined ? 1 : Number(weight.slice(2));
  if (!(quality >= 0 && quality <= 1)) return [];
  const specificity = name === '*/*' ? 0 : name.endsWith('/*') ? 1 : 2;
  return [{ type: name, quality, specificity }];
}

function qualityOf(offer: string, ranges: readonly MediaRange[]): number {
  const group = `${offer.slice(0, offer.indexOf('/'))}/*`;
  let decisive: MediaRange | undefined;
  for (const range of ranges) {
    const matches = range.type === offer || range.type === group || range.type === '*/*';
    if (matches && range.specificity > (decisive?.specificity ?? -1)) decisive = range;
  }
  return decisive?.quality ?? 0;
}
