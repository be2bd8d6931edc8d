/** What is used here of Express, which brings no types: its requests and responses are those of `node:http`. */
declare module "express" {
  import type { IncomingMessage, Server, ServerResponse } from "node:http"

  namespace express {
    interface Request extends IncomingMessage {
      readonly body?: unknown
    }
    interface Response extends ServerResponse {
      readonly status: (code: number) => Response
      readonly json: (body: unknown) => Response
    }
    type NextFunction = (error?: unknown) => void
    type RequestHandler = (request: Request, response: Response, next: NextFunction) => void
    type ErrorRequestHandler = (
      error: { readonly problem?: string },
      request: Request,
      response: Response,
      next: NextFunction
    ) => void
    interface Router {
      (request: Request, response: Response, next: NextFunction): void
      readonly use: (first: string | RequestHandler | ErrorRequestHandler, ...more: Array<RequestHandler>) => Router
      readonly all: (path: string, ...handlers: Array<RequestHandler>) => Router
      readonly post: (path: string, ...handlers: Array<RequestHandler>) => Router
      readonly listen: (port: number, host: string, listening: () => void) => Server
    }
    interface ParserOptions {
      readonly type?: () => boolean
      readonly verify?: (request: IncomingMessage, response: ServerResponse, bytes: Buffer) => void
    }
  }

  function express(): express.Router
  namespace express {
    function json(options?: ParserOptions): RequestHandler
    function raw(options?: ParserOptions): RequestHandler
    function Router(): Router
  }
  export = express
}
