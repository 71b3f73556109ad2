// What the gateway says when it refuses or fails (RFC 9457), as an error.

/** The members of a problem document that every page may show. */
export interface ProblemDocument {
  type?: string;
  code?: string;
  title?: string;
  status?: number;
  detail?: string;
  [more: string]: unknown;
}

export class ApiProblem extends Error {
  /** The HTTP status; 0 when the gateway was not reached. */
  readonly status: number;
  /** The word for programs, such as `clip-pending`. */
  readonly code: string;
  /** The whole document, with what a page needs besides. */
  readonly more: ProblemDocument;
  /** Seconds after which to ask again, when the gateway said so. */
  readonly retryAfterS: number | null;

  constructor(status: number, code: string, detail: string, more: ProblemDocument = {}, retryAfterS: number | null = null) {
    super(detail);
    this.name = 'ApiProblem';
    this.status = status;
    this.code = code;
    this.more = more;
    this.retryAfterS = retryAfterS;
  }
}

/** The problem that `response` tells of; also when its body is none. */
export async function problemOf(response: Response): Promise<ApiProblem> {
  const after = Number.parseInt(response.headers.get('Retry-After') ?? '', 10);
  const retryAfterS = Number.isFinite(after) ? after : null;
  let document: ProblemDocument = {};
  try {
    document = (await response.json()) as ProblemDocument;
  } catch {
    // A proxy between us and the gateway answers with a page of its own.
  }
  const code = document.code ?? document.type ?? `http-${response.status}`;
  const detail = document.detail ?? document.title ?? response.statusText;
  return new ApiProblem(response.status, code, detail, document, retryAfterS);
}
